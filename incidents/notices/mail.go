package notices

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"belfry/incidents"
)

// Mail says how e-mail is sent.
type Mail struct {
	Server   string // host:port of an SMTP server; "" sends none
	User     string // signs in with it, which needs TLS
	Password string
	From     string      // address, with a name or without
	TLS      *tls.Config // of STARTTLS, which is used when the server has it; nil trusts what the system trusts
}

// mailTimeout bounds a whole conversation with the server.
const mailTimeout = 30 * time.Second

func (w *Worker) mail(ctx context.Context, letter []incidents.Notice, events []incidents.Event, inc incidents.Incident, at time.Time) (string, error) {
	if w.Mail.Server == "" {
		return "", errGone
	}
	from, err := mail.ParseAddress(w.Mail.From)
	if err != nil {
		return "", fmt.Errorf("the sender %q: %w", w.Mail.From, err)
	}
	to, err := mail.ParseAddress(letter[0].Recipient)
	if err != nil {
		return "", fmt.Errorf("%w: %q is no address: %w", errGone, letter[0].Recipient, err)
	}
	link, err := w.link(ctx, letter, inc, at)
	if err != nil {
		return "", err
	}
	subject, plain, html, err := compose(letter, events, inc, w.zoneOf(ctx, to.Address), link)
	if err != nil {
		return "", err
	}
	text, err := envelope{from: from, to: to, subject: subject, plain: plain, html: html, at: at,
		id: w.messageID(letter[len(letter)-1].Key, from), thread: w.messageID(inc.Ref, from)}.text()
	if err != nil {
		return "", err
	}
	return w.Mail.send(ctx, from.Address, to.Address, text)
}

// link makes a link by which the recipient says whether the solution is good, when
// the letter asks for that; never for whoever solved it.
func (w *Worker) link(ctx context.Context, letter []incidents.Notice, inc incidents.Incident, at time.Time) (string, error) {
	asked := slices.ContainsFunc(letter, func(n incidents.Notice) bool {
		return incidents.AsksForApproval(n.Template) && (n.Reason == incidents.YouReported || n.Reason == incidents.YourSite)
	})
	answerable := inc.State == incidents.Resolved || inc.State == incidents.Closed && inc.Satisfaction.Points == 0
	if w.URL == "" || !asked || !answerable {
		return "", nil
	}
	name := letter[0].Recipient
	if c, err := w.Outbox.ContactAt(ctx, name); err == nil && c.Name != "" {
		name = c.Name
	} else if err != nil && !errors.Is(err, incidents.ErrNotFound) {
		return "", err
	}
	if name == inc.Resolution.By {
		return "", nil
	}
	secret, err := w.Outbox.CreateLink(ctx, incidents.Link{Ref: inc.Ref, Name: name, Language: letter[0].Language, CreatedAt: at, ExpiresAt: at.Add(incidents.LinkLasts)})
	return strings.TrimSuffix(w.URL, "/") + "/answer/" + w.Tenant + "/" + secret, err
}

// zoneOf returns the zone of the person with that address; UTC when it is not known.
func (w *Worker) zoneOf(ctx context.Context, email string) *time.Location {
	c, err := w.Outbox.ContactAt(ctx, email)
	if err != nil {
		return time.UTC
	}
	if zone, err := time.LoadLocation(c.Zone); err == nil {
		return zone
	}
	return time.UTC
}

// messageID makes an id that is the same each time: a message that is sent twice
// is shown once, and all about an incident stand in one thread.
func (w *Worker) messageID(key string, from *mail.Address) string {
	_, host, _ := strings.Cut(from.Address, "@")
	local := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '.'
	}, key)
	return fmt.Sprintf("<%s.%s@%s>", w.Tenant, local, host)
}

// envelope is a message with its addresses.
type envelope struct {
	from, to             *mail.Address
	subject, plain, html string
	id, thread           string
	at                   time.Time
}

// text writes the message in the form of RFC 5322. Whatever a subject holds, it is
// encoded, so that it can't end its line and add headers.
func (e envelope) text() ([]byte, error) {
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	for _, h := range [][2]string{
		{"From", e.from.String()}, {"To", e.to.String()}, {"Subject", mime.QEncoding.Encode("utf-8", oneLine(e.subject))},
		{"Date", e.at.Format(time.RFC1123Z)}, {"Message-ID", e.id}, {"In-Reply-To", e.thread}, {"References", e.thread},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", `multipart/alternative; boundary="` + parts.Boundary() + `"`},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	if err := errors.Join(writePart(parts, "plain", e.plain), writePart(parts, "html", e.html), parts.Close()); err != nil {
		return nil, fmt.Errorf("write a message: %w", err)
	}
	return b.Bytes(), nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func writePart(parts *multipart.Writer, kind, text string) error {
	w, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"text/" + kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write([]byte(text)); err != nil {
		return err
	}
	return q.Close()
}

// send hands the message to the server, and returns when the server has taken it.
func (m Mail) send(ctx context.Context, from, to string, text []byte) (string, error) {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return "", fmt.Errorf("the mail server %q: %w", m.Server, err)
	}
	dialer := net.Dialer{Timeout: mailTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(mailTimeout)); err != nil {
		return "", err
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return "", err
	}
	if err := m.secure(c, host); err != nil {
		return "", err
	}
	if err := hand(c, from, to, text); err != nil {
		return "", err
	}
	_ = c.Quit() // the message is theirs; how they say goodbye is no matter
	return "accepted by " + m.Server, nil
}

// secure turns encryption on when the server has it, and signs in.
func (m Mail) secure(c *smtp.Client, host string) error {
	if ok, _ := c.Extension("STARTTLS"); ok {
		config := m.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.ServerName = host
		if err := c.StartTLS(config); err != nil {
			return fmt.Errorf("turn on TLS: %w", err)
		}
	}
	if m.User == "" {
		return nil
	}
	if err := c.Auth(smtp.PlainAuth("", m.User, m.Password, host)); err != nil {
		return fmt.Errorf("sign in to the mail server: %w", err)
	}
	return nil
}

func hand(c *smtp.Client, from, to string, text []byte) error {
	if err := c.Mail(from); err != nil {
		return fmt.Errorf("mail from %s: %w", from, err)
	}
	if err := c.Rcpt(to); err != nil {
		return fmt.Errorf("mail to %s: %w", to, err)
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Close()
}
