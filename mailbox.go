package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"time"

	"belfry/incidents"
	"belfry/incidents/mailbox"
	"belfry/incidents/store"
)

func (c *Config) checkMailIn() error {
	in := c.Mail.In
	if in.Listen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(in.Listen); err != nil {
		return fmt.Errorf("mail.in.listen: %q; want host:port, such as 127.0.0.1:2525, or nothing", in.Listen)
	}
	if !loopback(in.Listen) && c.TLS.Cert == "" && !c.Insecure {
		return fmt.Errorf("mail.in.listen: %s is beyond this machine; give tls.cert and tls.key, or say --insecure", in.Listen)
	}
	if a, err := mail.ParseAddress(in.Address); err != nil || a.Address != in.Address {
		return fmt.Errorf("mail.in.address: %q; want the desk's address, such as helpdesk@example.com", in.Address)
	}
	return nil
}

// openMailbox makes the tenant's way in by e-mail, when there is one.
func (w *watch) openMailbox(context.Context) error {
	in := w.config.Mail.In
	if in.Listen == "" || w.options.private {
		return nil
	}
	own := in.Address
	if from, err := mail.ParseAddress(w.config.Mail.From); err == nil {
		own = from.Address
	}
	w.mailbox = mailbox.New(mailbox.Options{Desk: w.desk, People: w.tickets, Attach: w.attachMail, Tenant: w.tenant, Own: own,
		Strangers: in.Strangers, Now: time.Now, Log: w.log, Registerer: w.metrics})
	return nil
}

// attachMail keeps a file of a message, and says so on the timeline.
func (w *watch) attachMail(ctx context.Context, ref, name string, data []byte, by incidents.Actor) error {
	files := store.NewAttachments(w.tickets, w.attachmentsFolder())
	there, err := files.List(ctx, ref)
	if err != nil {
		return err
	}
	a := incidents.Attachment{Ref: ref, Name: incidents.FileName(name), Type: http.DetectContentType(data), CreatedBy: by.Name, CreatedAt: time.Now().UTC()}
	for _, one := range there {
		if one.Name == a.Name && one.CreatedBy == a.CreatedBy && one.Size == int64(len(data)) {
			return nil // the same message came before
		}
	}
	if a, err = files.Add(ctx, a, data); err != nil {
		return err
	}
	_, err = w.desk.Comment(ctx, ref, incidents.Request{Text: "attached " + a.Name}, by, time.Now())
	return err
}

// takeMail takes messages in until the context ends.
func (p *process) takeMail(ctx context.Context) error {
	in := p.config.Mail.In
	if in.Listen == "" || p.options.private {
		return nil
	}
	var secured *tls.Config
	if p.config.TLS.Cert != "" {
		own, err := openCertificate(p.config.TLS, time.Now, p.log)
		if err != nil {
			return err
		}
		secured = own.config()
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", in.Listen)
	if err != nil {
		return fmt.Errorf("listen for e-mail: %w; choose another address with the configuration key mail.in.listen", err)
	}
	err = mailbox.Serve(ctx, mailbox.NewServer(mailbox.ServerOptions{Address: in.Address, LMTP: in.LMTP, TLS: secured, Default: store.DefaultTenant,
		Find: func(tenant string) *mailbox.Mailbox {
			if w := p.watches.find(tenant); w != nil {
				return w.mailbox
			}
			return nil
		}}), l)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
