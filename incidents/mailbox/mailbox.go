// Package mailbox is the desk's way in by e-mail: a message opens an incident, or
// continues the one that it answers.
//
// Messages come in by SMTP or LMTP from the mail server of the house, which has
// judged them; belfry believes its sender's address no further than this: a person
// whom the registry or an incident names by it may report and comment, no more.
// Whoever is not concerned by an incident can't continue it and opens another.
// What machines send is taken and dropped, so that no two of them talk to each
// other for ever. The same message twice does its work once.
package mailbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/incidents"
	"belfry/telemetry"
)

// People is who is known by an address.
type People interface {
	ContactAt(ctx context.Context, email string) (incidents.Contact, error)
	Sites(ctx context.Context, q incidents.SiteQuery) ([]incidents.SiteRow, error)
}

// Options are what a mailbox needs. Desk, People and Now are.
type Options struct {
	Desk       *incidents.Desk
	People     People
	Attach     func(ctx context.Context, ref, name string, data []byte, by incidents.Actor) error // nil keeps no files
	Tenant     string
	Own        string // the address that belfry writes from
	Strangers  bool   // who is not known may open incidents
	PerHour    int    // messages of one sender; 0: 30
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Mailbox takes messages in for one tenant.
type Mailbox struct {
	Options
	taken *prometheus.CounterVec

	mu    sync.Mutex
	hour  time.Time
	count map[string]int // messages by sender in this hour
}

// New returns a mailbox.
func New(o Options) *Mailbox {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.PerHour == 0 {
		o.PerHour = 30
	}
	b := &Mailbox{Options: o, count: map[string]int{}, taken: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_mailbox_messages_total", Help: "Messages to the desk, by what became of them.",
	}, []string{"outcome"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(b.taken)
	}
	return b
}

// Outcome is what became of a message.
type Outcome string

// The outcomes.
const (
	Opened    Outcome = "opened"
	Continued Outcome = "continued"
	Machine   Outcome = "machine"  // sent by one, and dropped
	Stranger  Outcome = "stranger" // nobody known, and refused
	Unread    Outcome = "unreadable"
	TooMany   Outcome = "too_many"
	Failed    Outcome = "failed" // by us; it may come again
)

// ErrRefused is of what may not come in, and ErrLater of what may come again later.
var (
	ErrRefused = errors.New("refused")
	ErrLater   = errors.New("not now")
)

// Take takes a message in. sender is whom the envelope names; "" for one that wants
// no answer.
func (b *Mailbox) Take(ctx context.Context, sender string, text []byte) (ref string, outcome Outcome, err error) {
	ref, outcome, err = b.take(ctx, sender, text)
	b.taken.WithLabelValues(string(outcome)).Inc()
	b.Log.Info("a message came in", "outcome", outcome, "incident", ref, "error", err)
	return ref, outcome, err
}

func (b *Mailbox) take(ctx context.Context, sender string, text []byte) (string, Outcome, error) {
	m, err := Parse(text)
	if err != nil {
		return "", Unread, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if why := b.machine(sender, m); why != "" {
		return "", Machine, nil
	}
	if !b.within(m.From) {
		return "", TooMany, fmt.Errorf("%w: %s writes too often", ErrLater, m.From)
	}
	who, known, err := b.person(ctx, m)
	if err != nil {
		return "", Failed, fmt.Errorf("%w: %w", ErrLater, err)
	}
	ref, err := b.answered(ctx, m, who)
	outcome := Continued
	if err == nil && ref != "" {
		err = b.comment(ctx, ref, m, who)
	} else if err == nil {
		if outcome = Opened; !known && !b.Strangers {
			return "", Stranger, fmt.Errorf("%w: %s is not known here", ErrRefused, m.From)
		}
		ref, err = b.open(ctx, m, who)
	}
	if err == nil {
		err = b.files(ctx, ref, m, who)
	}
	if err != nil {
		return ref, Failed, fmt.Errorf("%w: %w", ErrLater, err)
	}
	return ref, outcome, nil
}

// machine says why a message is none of a person's.
func (b *Mailbox) machine(sender string, m Message) string {
	_, host, _ := strings.Cut(b.Own, "@")
	switch {
	case m.Machine != "":
		return m.Machine
	case sender == "":
		return "no sender"
	case strings.EqualFold(m.From, b.Own) || strings.EqualFold(sender, b.Own):
		return "our own address"
	case b.refOf(m.ID) != "" && host != "" && strings.HasSuffix(strings.ToLower(m.ID), "@"+strings.ToLower(host)+">"):
		return "our own message"
	}
	local, _, _ := strings.Cut(m.From, "@")
	if local == "mailer-daemon" || local == "postmaster" || strings.HasPrefix(local, "no-reply") || strings.HasPrefix(local, "noreply") {
		return local
	}
	return ""
}

// within counts a sender's messages of the hour.
func (b *Mailbox) within(sender string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if hour := b.Now().Truncate(time.Hour); !hour.Equal(b.hour) {
		b.hour, b.count = hour, map[string]int{}
	}
	b.count[sender]++
	return b.count[sender] <= b.PerHour
}

// person is somebody who writes.
type person struct {
	name, email string
	sites       map[string]bool // that name the address as their contact
}

func (b *Mailbox) person(ctx context.Context, m Message) (who person, known bool, err error) {
	who = person{name: cut(m.From, 120), email: m.From, sites: map[string]bool{}}
	c, err := b.People.ContactAt(ctx, m.From)
	if err == nil {
		who.name, known = c.Name, true
	} else if !errors.Is(err, incidents.ErrNotFound) {
		return who, false, err
	}
	const page = 1000
	for after := ""; ; {
		list, err := b.People.Sites(ctx, incidents.SiteQuery{After: after, Limit: page})
		if err != nil {
			return who, known, err
		}
		for _, s := range list {
			if strings.EqualFold(s.Contact, m.From) {
				who.sites[s.ID], known = true, true
			}
			after = s.ID
		}
		if len(list) < page {
			return who, known, nil
		}
	}
}

var subjectRef = regexp.MustCompile(`\bINC-\d{6,12}\b`)

// refOf returns the incident that one of our own ids is about; "" when it is none.
func (b *Mailbox) refOf(id string) string {
	rest, ours := strings.CutPrefix(id, "<"+b.Tenant+".")
	if ref := subjectRef.FindString(rest); ours && strings.HasPrefix(rest, ref) {
		return ref
	}
	return ""
}

// answered returns the incident that a message continues: the one that its thread
// or its subject names, if the sender is concerned by it; else "".
func (b *Mailbox) answered(ctx context.Context, m Message, who person) (string, error) {
	refs := []string{}
	for _, id := range m.Thread {
		if ref := b.refOf(id); ref != "" {
			refs = append(refs, ref)
		}
	}
	for _, ref := range append(refs, subjectRef.FindAllString(m.Subject, 5)...) {
		inc, err := b.Desk.Get(ctx, ref, incidents.Actor{Source: incidents.ByMail})
		if errors.Is(err, incidents.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if inc.Reporter == who.name || inc.Assignee == who.name || inc.Site != "" && who.sites[inc.Site] {
			return inc.Ref, nil
		}
	}
	return "", nil
}

// once is the same for the same message.
func (b *Mailbox) once(m Message) *incidents.Once {
	sum := sha256.Sum256([]byte(m.From + "\n" + m.ID + "\n" + m.Subject + "\n" + m.Text))
	return &incidents.Once{Key: "mail\n" + hex.EncodeToString(sum[:]), Hash: "mail"}
}

func (b *Mailbox) actor(who person, site string) incidents.Actor {
	return incidents.Actor{Name: who.name, Role: incidents.SiteManager, Site: site, Source: incidents.ByMail}
}

func (b *Mailbox) comment(ctx context.Context, ref string, m Message, who person) error {
	inc, err := b.Desk.Get(ctx, ref, incidents.Actor{Source: incidents.ByMail})
	if err != nil {
		return err
	}
	by := b.actor(who, inc.Site)
	if inc.Assignee == who.name {
		by.Role, by.Site = incidents.FirstLine, "" // whoever works on it does not wake it by writing
	}
	text := m.Text
	if text == "" {
		text = "(a message without words)"
	}
	_, err = b.Desk.Comment(ctx, ref, incidents.Request{Text: text, Once: b.once(m)}, by, b.Now())
	return err
}

func (b *Mailbox) open(ctx context.Context, m Message, who person) (string, error) {
	site := telemetry.Unassigned
	if len(who.sites) == 1 {
		for id := range who.sites {
			site = id
		}
	}
	summary := m.Subject
	if summary == "" {
		summary = cut(oneLine(m.Text), 100)
	}
	if summary == "" {
		summary = "a message of " + m.From
	}
	inc, err := b.Desk.Report(ctx, incidents.NewReport{Summary: summary, Description: m.Text, Site: site, Once: b.once(m)}, b.actor(who, site), b.Now())
	return inc.Ref, err
}

// files attaches what came along. One that is refused is told of and keeps nothing
// else from coming in.
func (b *Mailbox) files(ctx context.Context, ref string, m Message, who person) error {
	left := m.Left
	for _, f := range m.Files {
		if b.Attach == nil || len(f.Data) > incidents.MaxAttachment {
			left++
			continue
		}
		var conflict *incidents.ConflictError
		if err := b.Attach(ctx, ref, f.Name, f.Data, incidents.Actor{Name: who.name, Role: incidents.SiteManager, Source: incidents.ByMail}); errors.As(err, &conflict) {
			left++
		} else if err != nil {
			return err
		}
	}
	if left == 0 {
		return nil
	}
	_, err := b.Desk.Comment(ctx, ref, incidents.Request{Text: fmt.Sprintf("%d files of the message were too large or too many and were left out", left)},
		incidents.Actor{Name: who.name, Role: incidents.SiteManager, Source: incidents.ByMail}, b.Now())
	return err
}
