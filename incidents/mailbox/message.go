package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // of other times
	"github.com/emersion/go-message/mail"
	"golang.org/x/net/html"
)

// Limits of a message.
const (
	MaxMessage = 25 << 20 // bytes, as it comes
	maxParts   = 100
	maxFiles   = 20
	maxText    = 18_000 // bytes that are kept of what it says
	maxSubject = 280
)

// Message is an e-mail as the desk reads it.
type Message struct {
	From    string // address, in lower case
	Name    string
	Subject string
	ID      string   // with its angle brackets
	Thread  []string // ids of the messages that it answers
	Machine string   // why it is taken for a machine's; "" for a person's
	Text    string
	Files   []File
	Left    int // files that were too many
}

// File is what came with it.
type File struct {
	Name string
	Data []byte
}

// ErrUnreadable says that something is no message.
var ErrUnreadable = errors.New("no message that can be read")

// Parse reads a message. Whatever is in it, it takes no more than it was given: an
// unknown encoding is read as it stands.
func Parse(text []byte) (m Message, err error) {
	entity, err := message.Read(bytes.NewReader(text))
	if entity == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return m, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	r := mail.NewReader(entity)
	defer r.Close()
	if m.header(r.Header); m.From == "" {
		return m, fmt.Errorf("%w: it has no sender", ErrUnreadable)
	}
	plain, page := "", ""
	for range maxParts {
		part, err := r.NextPart()
		if part == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			break // the end, or what can't be read any further
		}
		data, _ := io.ReadAll(io.LimitReader(part.Body, MaxMessage))
		m.part(part, data, &plain, &page)
	}
	if strings.TrimSpace(plain) == "" {
		plain = textOf(page)
	}
	m.Text = own(strings.ToValidUTF8(plain, "\uFFFD"))
	return m, nil
}

func (m *Message) header(h mail.Header) {
	if from, err := h.AddressList("From"); err == nil && len(from) > 0 {
		m.From, m.Name = strings.ToLower(from[0].Address), oneLine(from[0].Name)
	}
	subject, _ := h.Subject()
	m.Subject = cut(oneLine(strings.ToValidUTF8(subject, "\uFFFD")), maxSubject)
	m.ID = strings.TrimSpace(h.Get("Message-Id"))
	m.Thread = ids.FindAllString(h.Get("In-Reply-To")+" "+h.Get("References"), 50)
	m.Machine = machine(h)
}

var ids = regexp.MustCompile(`<[^<>\s]{1,400}>`)

// machine says why a message is taken for a machine's: answering those makes loops.
func machine(h mail.Header) string {
	if text := strings.ToLower(h.Get("Auto-Submitted")); text != "" && !strings.HasPrefix(strings.TrimSpace(text), "no") {
		return "Auto-Submitted"
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list", "auto_reply":
		return "Precedence"
	}
	for _, name := range []string{"List-Id", "X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress", "Feedback-Id"} {
		if h.Has(name) {
			return name
		}
	}
	if strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "multipart/report") {
		return "a report of delivery"
	}
	return ""
}

// part takes up one part: the words of the message, or a file.
func (m *Message) part(part *mail.Part, data []byte, plain, page *string) {
	name, kind := "", ""
	switch h := part.Header.(type) {
	case *mail.AttachmentHeader:
		name, _ = h.Filename()
		kind = "file"
	case *mail.InlineHeader:
		kind, _, _ = h.ContentType()
		_, params, _ := h.ContentDisposition()
		name = params["filename"]
	}
	switch {
	case kind == "text/plain" && name == "":
		*plain += string(data)
	case kind == "text/html" && name == "":
		*page += string(data)
	case len(data) == 0:
	case len(m.Files) >= maxFiles:
		m.Left++
	default:
		m.Files = append(m.Files, File{name, data})
	}
}

// textOf reads the words of a page.
func textOf(page string) string {
	var b strings.Builder
	for z, skip := html.NewTokenizer(strings.NewReader(page)), 0; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return b.String()
		}
		name, _ := z.TagName()
		hidden := string(name) == "script" || string(name) == "style" || string(name) == "title"
		switch {
		case kind == html.StartTagToken && hidden:
			skip++
		case kind == html.EndTagToken && hidden && skip > 0:
			skip--
		case kind == html.TextToken && skip == 0:
			b.Write(z.Text())
		case strings.Contains(" p br div tr li h1 h2 h3 ", " "+string(name)+" "):
			b.WriteByte('\n')
		}
	}
}

// own leaves out what is quoted from the message that is answered, at the end.
func own(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	end := len(lines)
	for end > 0 && (strings.HasPrefix(lines[end-1], ">") || strings.TrimSpace(lines[end-1]) == "") {
		end--
	}
	if end > 0 && end < len(lines) && strings.HasSuffix(strings.TrimSpace(lines[end-1]), ":") && strings.HasPrefix(strings.TrimSpace(strings.Join(lines[end:], "")), ">") {
		end-- // "On Monday somebody wrote:"
	}
	return cut(strings.TrimSpace(strings.Join(lines[:end], "\n")), maxText)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// cut shortens a text to so many bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// patience of a conversation.
const patience = time.Minute
