package notices

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
)

// postOffice is an SMTP server: it speaks enough of RFC 5321 to be given mail,
// with STARTTLS and PLAIN when it has a certificate.
type postOffice struct {
	address string
	secured *tls.Config // nil: without STARTTLS

	mu       sync.Mutex
	busy     int // how many messages it refuses for the moment
	letters  []letter
	signedIn []string
}

// letter is a message as it came.
type letter struct {
	from, to string
	header   mail.Header
	parts    map[string]string // by content type
}

func newPostOffice(t *testing.T, secured *tls.Config) *postOffice {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{address: ln.Addr().String(), secured: secured}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			done.Go(func() { p.serve(t, conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); done.Wait() })
	return p
}

// certificate returns a server's and a client's TLS configuration.
func certificate(t *testing.T) (server, client *tls.Config) {
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return s.TLS, s.Client().Transport.(*http.Transport).TLSClientConfig
}

func (p *postOffice) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	c := textproto.NewConn(conn)
	say := func(format string, args ...any) { _ = c.PrintfLine(format, args...) }
	say("220 post office")
	var l letter
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			_, encrypted := conn.(*tls.Conn)
			switch {
			case p.secured != nil && !encrypted:
				say("250-hello\r\n250 STARTTLS")
			case encrypted:
				say("250-hello\r\n250 AUTH PLAIN")
			default:
				say("250 hello")
			}
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, p.secured)
			c = textproto.NewConn(conn)
		case "AUTH":
			text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			p.mu.Lock()
			p.signedIn = append(p.signedIn, strings.ReplaceAll(string(text), "\x00", "|"))
			p.mu.Unlock()
			say("235 welcome")
		case "MAIL":
			l = letter{from: between(rest)}
			say("250 ok")
		case "RCPT":
			l.to = between(rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			text, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			say("%s", p.take(t, l, string(text)))
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what is %s", verb)
		}
	}
}

func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

func (p *postOffice) take(t *testing.T, l letter, text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy > 0 {
		p.busy--
		return "451 busy just now"
	}
	m, err := mail.ReadMessage(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Errorf("not a message: %v\n%s", err, text)
		return "554 not a message"
	}
	l.header, l.parts = m.Header, map[string]string{}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("content type: %v", err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("parts: %v", err)
			break
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Errorf("part: %v", err)
		}
		kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";")
		l.parts[kind] = string(body)
	}
	p.letters = append(p.letters, l)
	return fmt.Sprintf("250 taken as %d", len(p.letters))
}

// got returns the letters so far and forgets them.
// got returns what has come since the last time, by recipient: which of two comes
// first is not said.
func (p *postOffice) got() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.letters
	p.letters = nil
	slices.SortStableFunc(out, func(a, b letter) int { return strings.Compare(a.to, b.to) })
	return out
}

func parsed(address string) *mail.Address { return &mail.Address{Address: address} }
