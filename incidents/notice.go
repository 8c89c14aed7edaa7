package incidents

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"belfry/telemetry"
)

// Channel is a way to tell somebody something.
type Channel string

// The channels.
const (
	ByEmail   Channel = "email"
	ByWebhook Channel = "webhook"
)

// Reason is why somebody is told.
type Reason string

// The reasons. Every notice has one, and its text says it.
const (
	YouReported  Reason = "you_reported_it"
	YouAreOn     Reason = "assigned_to_you"
	YourSite     Reason = "contact_of_the_site"
	YouSubscribe Reason = "subscription"
	YouManage    Reason = "escalations"   // a person's own subscription
	YouFollow    Reason = "announcements" // likewise
)

// Notice is one event that one recipient is to be told of. It is written in the
// transaction of its event, so that there is one when, and only when, the event
// has happened.
type Notice struct {
	ID        int64     `json:"id"`
	Key       string    `json:"key"` // of event and recipient; the same when it is sent again
	Ref       string    `json:"ref"`
	Seq       int64     `json:"seq"` // of the event on its timeline
	Channel   Channel   `json:"channel"`
	Recipient string    `json:"recipient"` // an e-mail address, or a webhook's id
	Language  string    `json:"language,omitempty"`
	Template  string    `json:"template"`
	Reason    Reason    `json:"reason"`
	CreatedAt time.Time `json:"created_at"`
	DueAt     time.Time `json:"due_at,omitzero"` // of the next attempt; zero when there is none
	Outcome   Outcome   `json:"outcome"`
	Attempts  int       `json:"attempts"`
}

// Outcome is what has become of a notice.
type Outcome string

// The outcomes.
const (
	Waiting Outcome = "waiting" // to be sent, or to be tried again
	Sent    Outcome = "sent"
	GivenUp Outcome = "given_up" // after the last attempt
	Dropped Outcome = "dropped"  // its recipient is no more
)

// Delivery is one attempt to deliver a notice.
type Delivery struct {
	ID      int64         `json:"id"`
	Notice  int64         `json:"notice"`
	At      time.Time     `json:"at"`
	Attempt int           `json:"attempt"`
	OK      bool          `json:"ok"`
	Answer  string        `json:"answer" doc:"What the other side said, or why it was not reached"`
	Took    time.Duration `json:"-"`

	// What it means for the notice.
	Outcome Outcome   `json:"-"`
	Next    time.Time `json:"-"` // of the next attempt, while the notice waits
}

// NoticeRow is a notice with its attempts so far.
type NoticeRow struct {
	Notice
	Deliveries []Delivery `json:"deliveries"`
}

// NoticeQuery selects notices, the newest first.
type NoticeQuery struct {
	Ref, Webhook string
	Outcome      Outcome
	Before       int64
	Limit        int
}

// Webhook is a subscription of an outside system to what happens.
type Webhook struct {
	ID        string       `json:"id"`
	Version   int64        `json:"-"`
	URL       string       `json:"url"`
	Secret    string       `json:"-"`              // signs what is sent
	Site      string       `json:"site,omitempty"` // only of this site; "" for all
	Kinds     []Transition `json:"kinds,omitempty"`
	Internal  bool         `json:"internal,omitempty"` // internal notes too
	CreatedBy string       `json:"created_by"`
	CreatedAt time.Time    `json:"created_at"`
	Paused    bool         `json:"paused,omitempty"`
}

// wants reports whether the subscription is to that event of the incident.
func (w *Webhook) wants(inc *Incident, e *Event) bool {
	released := (e.Kind == Release || e.Kind == Detach) && slices.Contains(w.Kinds, Open) // it is told of only now
	return !w.Paused && (w.Site == "" || w.Site == inc.Site) && (!e.Internal || w.Internal) &&
		(len(w.Kinds) == 0 || slices.Contains(w.Kinds, e.Kind) || released)
}

// Contact says how a principal is reached.
type Contact struct {
	Name     string          `json:"name"` // of the principal, as on timelines
	Version  int64           `json:"-"`
	Email    string          `json:"email"`
	Language string          `json:"language"` // one of Languages
	Zone     string          `json:"zone,omitempty"`
	Hours    telemetry.Hours `json:"hours,omitempty"` // no message outside them; none: those of the office

	Topics []Topic  `json:"topics,omitempty"` // what the person is told of besides
	Sites  []string `json:"sites,omitempty"`  // at these sites alone; none: at all
}

// Topic is what a person may want to be told of without having part in it.
type Topic string

// The topics.
const (
	Escalations   Topic = "escalations"   // what managers are told of
	Announcements Topic = "announcements" // each update of each announcement
)

// Topics are all topics.
var Topics = []Topic{Escalations, Announcements}

// follows reports whether the person wants to hear of a topic at one of the sites;
// none stands for all of them.
func (c *Contact) follows(topic Topic, sites ...string) bool {
	if !slices.Contains(c.Topics, topic) {
		return false
	}
	return len(c.Sites) == 0 || len(sites) == 0 || slices.ContainsFunc(sites, func(s string) bool { return slices.Contains(c.Sites, s) })
}

// Languages are those that messages are written in.
var Languages = []string{"en", "fr", "ro"}

// Reachable returns the instant from at on at which the contact may be told, or
// the zero time when there is none within three years. Who has no hours of their own
// keeps those of the office, by the clocks of their zone if they have named one; no
// office is one that never closes.
func (c *Contact) Reachable(at time.Time, office *Calendar) (time.Time, error) {
	if !c.Hours.Known() && office == nil {
		return at, nil
	}
	if !c.Hours.Known() {
		return office.in(c.Zone).Opening(at), nil
	}
	zone := c.Zone
	if zone == "" {
		zone = "UTC"
	}
	calendar := Calendar{ID: "contact", Zone: zone, site: telemetry.Site{ID: "contact", Zone: zone, Hours: c.Hours}}
	if _, err := time.LoadLocation(zone); err != nil {
		return at, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	return calendar.Opening(at), nil
}

// Outbox is what the transaction of a store that keeps notices can do besides.
type Outbox interface {
	// Webhooks returns the subscriptions that are not paused.
	Subscriptions() ([]Webhook, error)
	// Contact returns how a principal is reached; ErrNotFound when nobody said so.
	Contact(name string) (Contact, error)
	// SiteContact returns how a site's manager is reached; ErrNotFound likewise.
	SiteContact(site string) (Contact, error)
	// SiteContacts returns how the managers of sites are reached; of all sites when
	// none is named. Sites without a contact are left out.
	SiteContacts(sites []string) ([]Contact, error)
	// Followers returns how those are reached who want to hear of some topic.
	Followers() ([]Contact, error)
	// Enqueue writes notices. One whose key is there already changes nothing.
	Enqueue([]Notice) error
}

// Gathering is how long an e-mail waits for further changes of the same
// incident, so that several become one message.
const Gathering = 2 * time.Minute

// WithNotices returns the store with an outbox: whoever is to be told of an event
// is written down in the event's transaction. Without email only webhooks are.
// The store's transactions must be an Outbox. now is the time of writing, which
// may be long after an event's own.
func WithNotices(store Store, email bool, now func() time.Time) Store {
	return &noticing{store, email, now}
}

type noticing struct {
	Store
	email bool
	now   func() time.Time
}

// Update implements Store.
func (n *noticing) Update(ctx context.Context, fn func(Tx) error) error {
	return n.Store.Update(ctx, func(tx Tx) error { return fn(&noticingTx{Tx: tx, noticing: n}) })
}

type noticingTx struct {
	Tx
	*noticing
}

// Save implements Tx.
func (t *noticingTx) Save(steps []Step) error {
	if err := t.Tx.Save(steps); err != nil {
		return err
	}
	box, ok := t.Tx.(Outbox)
	if !ok {
		return fmt.Errorf("write notices: the store %T keeps none", t.Store)
	}
	return t.write(box, steps)
}

func (n *noticing) write(box Outbox, steps []Step) error {
	hooks, err := box.Subscriptions()
	if err != nil {
		return err
	}
	var list []Notice
	followers := sync.OnceValues(box.Followers)
	for i := range steps {
		s := &steps[i]
		managers, err := n.managers(followers, s)
		if err != nil {
			return err
		}
		if list = append(list, managers...); s.quiet() {
			continue
		}
		for _, w := range hooks {
			if w.wants(&s.After, &s.Event) {
				list = append(list, n.notice(s, ByWebhook, w.ID, "", YouSubscribe))
			}
		}
		people, err := n.people(box, s, managers)
		if err != nil {
			return err
		}
		list = append(list, people...)
	}
	if len(list) == 0 {
		return nil
	}
	return box.Enqueue(list)
}

func (n *noticing) notice(s *Step, by Channel, to, language string, why Reason) Notice {
	at := n.now().UTC()
	due := at
	if by == ByEmail {
		due = at.Add(Gathering)
	}
	return Notice{Key: fmt.Sprintf("%s/%d/%s/%s", s.Event.Ref, s.Event.Seq, by, to), Ref: s.Event.Ref, Seq: s.Event.Seq,
		Channel: by, Recipient: to, Language: language, Template: s.template(), Reason: why, CreatedAt: at, DueAt: due, Outcome: Waiting}
}

// template names the words for an event: by its kind when it says more than the
// state, else by the state that it led to.
func (s *Step) template() string {
	switch s.Event.Kind {
	case Comment, Report, Open, Reopen, Assign, Ask, Reject, Remind, Expire, Chase, NoNews, Summarise, Calm:
		return string(s.Event.Kind)
	case Observe:
		return "recovered"
	case Release, Detach:
		return string(Open)
	}
	return string(s.After.State)
}

// managers returns the notices to those who want to hear of escalations. The key of
// each holds what it tells of and no event, so that nobody hears twice of it.
func (n *noticing) managers(followers func() ([]Contact, error), s *Step) (list []Notice, err error) {
	alarms := s.alarms()
	if !n.email || len(alarms) == 0 {
		return nil, nil
	}
	all, err := followers()
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Name == s.Event.Actor || !c.follows(Escalations, s.After.Site) {
			continue
		}
		for _, what := range alarms {
			told := n.notice(s, ByEmail, c.Email, c.Language, YouManage)
			told.Template, told.Key = what, fmt.Sprintf("%s/%s/%s/%s", s.Event.Ref, what, ByEmail, c.Email)
			list = append(list, told)
		}
	}
	return list, nil
}

// people returns the notices to persons: to the reporter and the site's contact
// what is public, to the assignee what asks for attention; to nobody their own
// acts, and each only once.
func (n *noticing) people(box Outbox, s *Step, already []Notice) (list []Notice, err error) {
	if !n.email || s.Event.Internal {
		return nil, nil
	}
	told := map[string]bool{}
	for i := range already {
		told[already[i].Recipient] = true
	}
	tell := func(why Reason, contact Contact, err error) error {
		if isMissing(err) || contact.Email == "" || contact.Name == s.Event.Actor || told[contact.Email] {
			return nil
		}
		if err != nil {
			return err
		}
		told[contact.Email] = true
		list = append(list, n.notice(s, ByEmail, contact.Email, contact.Language, why))
		return nil
	}
	inc := &s.After
	if inc.Assignee != "" && s.concernsAssignee() {
		c, err := box.Contact(inc.Assignee)
		if err := tell(YouAreOn, c, err); err != nil {
			return nil, err
		}
	}
	if inc.Reporter != "" && s.public() {
		c, err := box.Contact(inc.Reporter)
		if err := tell(YouReported, c, err); err != nil {
			return nil, err
		}
	}
	if inc.Site != "" && s.concernsSite() {
		c, err := box.SiteContact(inc.Site)
		if err := tell(YourSite, c, err); err != nil {
			return nil, err
		}
	}
	return list, nil
}
