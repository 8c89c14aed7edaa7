package mailbox

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-smtp"
)

// ServerOptions say where messages come in.
type ServerOptions struct {
	Address string // of the mailbox, local@domain; local+TENANT@domain is another tenant's
	LMTP    bool   // else SMTP
	TLS     *tls.Config
	Default string                       // the tenant of the address itself
	Find    func(tenant string) *Mailbox // nil: there is no such tenant
}

// NewServer returns a server that takes messages to the mailbox and to nobody else.
func NewServer(o ServerOptions) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{options: o}, nil }))
	_, s.Domain, _ = strings.Cut(o.Address, "@")
	s.LMTP, s.TLSConfig = o.LMTP, o.TLS
	s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = MaxMessage, 5, 4000
	s.ReadTimeout, s.WriteTimeout = patience, patience
	return s
}

// Serve serves until the context ends, and then lets what is under way end.
func Serve(ctx context.Context, s *smtp.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience/12)
	defer cancel()
	if err := s.Shutdown(ending); err != nil {
		_ = s.Close()
	}
	if err := <-served; !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// session is one conversation.
type session struct {
	options ServerOptions
	sender  string
	boxes   []*Mailbox
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.sender, s.boxes = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.sender = from; return nil }

// Rcpt implements smtp.Session: nobody but the desk gets mail here.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	own, ownDomain, _ := strings.Cut(strings.ToLower(s.options.Address), "@")
	base, tenant, plus := strings.Cut(local, "+")
	if !plus {
		tenant = s.options.Default
	}
	if base == own && domain == ownDomain {
		if box := s.options.Find(tenant); box != nil {
			s.boxes = append(s.boxes, box)
			return nil
		}
	}
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "there is no such mailbox"}
}

// Data implements smtp.Session. The answer comes when the incident is on disk.
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, box := range s.boxes {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, outcome, err := box.Take(ctx, s.sender, text)
		cancel()
		switch {
		case errors.Is(err, ErrRefused):
			return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "refused: " + string(outcome)}
		case err != nil:
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later: " + string(outcome)}
		}
	}
	return nil
}
