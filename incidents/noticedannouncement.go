package incidents

import (
	"fmt"
	"slices"
	"time"
)

// Announced is the kind of event by which webhooks hear of announcements.
const Announced Transition = "announcement"

// hears reports whether the subscription is to an announcement.
func (w *Webhook) hears(a *Announcement) bool {
	return !w.Paused && (w.Site == "" || a.Concerns(w.Site)) && (len(w.Kinds) == 0 || slices.Contains(w.Kinds, Announced))
}

// Announce implements Shelf: the newest update is written down for each
// subscriber, once. Subscribers are the managers of the sites that it concerns,
// whoever reported the incident that it is about, those who follow announcements,
// and webhooks.
func (t *noticingTx) Announce(a *Announcement) error {
	box, ok := t.Tx.(Outbox)
	if !ok {
		return fmt.Errorf("write notices: the store %T keeps none", t.Store)
	}
	hooks, err := box.Subscriptions()
	if err != nil {
		return err
	}
	u := &a.Updates[len(a.Updates)-1]
	var list []Notice
	for _, w := range hooks {
		if w.hears(a) {
			list = append(list, t.update(a, u, ByWebhook, w.ID, "", YouSubscribe))
		}
	}
	if t.email {
		people, err := t.subscribers(box, a, u)
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

// subscribers returns the notices of an update to persons, one to each address.
func (t *noticingTx) subscribers(box Outbox, a *Announcement, u *AnnouncementUpdate) (list []Notice, err error) {
	told := map[string]bool{"": true}
	tell := func(c Contact, why Reason) {
		if own := c.Name == u.By && c.Name != ""; !own && !told[c.Email] {
			told[c.Email] = true
			list = append(list, t.update(a, u, ByEmail, c.Email, c.Language, why))
		}
	}
	people, err := box.SiteContacts(a.Sites)
	if err != nil {
		return nil, err
	}
	for _, c := range people {
		tell(c, YourSite)
	}
	if a.Incident != "" {
		inc, err := t.Get(a.Incident)
		if err != nil {
			return nil, err
		}
		c, err := box.Contact(inc.Reporter)
		if err != nil && !isMissing(err) {
			return nil, err
		}
		tell(c, YouReported)
	}
	followers, err := box.Followers()
	if err != nil {
		return nil, err
	}
	for _, c := range followers {
		if c.follows(Announcements, a.Sites...) {
			tell(c, YouFollow)
		}
	}
	return list, nil
}

// update is the notice of one update to one subscriber.
func (n *noticing) update(a *Announcement, u *AnnouncementUpdate, by Channel, to, language string, why Reason) Notice {
	at := n.now().UTC()
	return Notice{Key: fmt.Sprintf("%s/%d/%s/%s", a.Ref, u.Number, by, to), Ref: a.Ref, Seq: int64(u.Number), Channel: by, Recipient: to,
		Language: language, Template: string(Announced), Reason: why, CreatedAt: at, DueAt: at, Outcome: Waiting}
}

// Told returns an announcement as what tells of incidents knows it: its updates
// as events.
func (a *Announcement) Told() (Incident, []Event) {
	inc := Incident{Ref: a.Ref, Version: a.Version, State: State(a.State), Summary: a.Title, OpenedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt}
	events := make([]Event, len(a.Updates))
	for i, u := range a.Updates {
		events[i] = Event{Ref: a.Ref, Seq: int64(u.Number), At: u.At, Actor: u.By, Source: ByAPI, Kind: Announced, Text: u.Text + a.window()}
	}
	return inc, events
}

// window says when, in a form that is the same in every language.
func (a *Announcement) window() string {
	if a.To.IsZero() {
		return ""
	}
	const layout = "2006-01-02 15:04 MST"
	return fmt.Sprintf("\n%s – %s", a.From.In(time.UTC).Format(layout), a.To.In(time.UTC).Format(layout))
}
