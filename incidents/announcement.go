package incidents

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AnnouncementState says whether an announcement is out.
type AnnouncementState string

// The states of an announcement.
const (
	AnnouncementDraft     AnnouncementState = "draft"
	AnnouncementPublished AnnouncementState = "published"
	AnnouncementEnded     AnnouncementState = "ended"
	AnnouncementWithdrawn AnnouncementState = "withdrawn" // a draft that nobody is to see
)

// AnnouncementStates are the states of an announcement.
var AnnouncementStates = []AnnouncementState{AnnouncementDraft, AnnouncementPublished, AnnouncementEnded, AnnouncementWithdrawn}

// Announcement tells the people at some sites of a major incident under way, or
// of work that is planned. Once it is out, it changes only by its updates.
type Announcement struct {
	Ref       string               `json:"ref"`
	Version   int64                `json:"version"`
	State     AnnouncementState    `json:"state"`
	Planned   bool                 `json:"planned,omitempty"` // work; else something that has happened
	Title     string               `json:"title"`
	Text      string               `json:"text,omitempty"`
	Sites     []string             `json:"sites,omitempty"` // none: all
	From      time.Time            `json:"from,omitzero"`
	To        time.Time            `json:"to,omitzero"` // when it is expected to be over
	Incident  string               `json:"incident,omitempty"`
	Updates   []AnnouncementUpdate `json:"updates,omitempty"`
	CreatedBy string               `json:"created_by"`
	CreatedAt time.Time            `json:"created_at"`
	UpdatedAt time.Time            `json:"updated_at"`
}

// AnnouncementUpdate is one message to the subscribers: each is told once of it.
type AnnouncementUpdate struct {
	Number int       `json:"number"` // from 1
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Text   string    `json:"text"`
}

// maxUpdates is how many updates an announcement can have.
const maxUpdates = 200

func (a *Announcement) check() error {
	var f faults
	if strings.TrimSpace(a.Title) == "" || len(a.Title) > MaxSummary {
		f.add("title", "has %d bytes; want 1 to %d", len(a.Title), MaxSummary)
	}
	f.text("text", a.Text)
	if len(a.Sites) > 10_000 {
		f.add("sites", "has %d; at most 10000, or leave it out for all", len(a.Sites))
	}
	f.year("from", a.From)
	f.year("to", a.To)
	if a.Planned && (a.From.IsZero() || a.To.IsZero()) {
		f.add("from", "and to are wanted for planned work")
	}
	if !a.To.IsZero() && !a.To.After(a.From) {
		f.add("to", "is not after from")
	}
	return f.err()
}

// Concerns reports whether the announcement is for a site.
func (a *Announcement) Concerns(site string) bool {
	return len(a.Sites) == 0 || slices.Contains(a.Sites, site)
}

// seesAnnouncement: drafts are for the desk; what is out is for everybody at the
// sites that it is about.
func (a Actor) seesAnnouncement(n *Announcement) bool {
	if a.Site != "" && !n.Concerns(a.Site) {
		return false
	}
	out := n.State == AnnouncementPublished || n.State == AnnouncementEnded
	return out || a.Role.OnDesk()
}

// writesAnnouncement: somebody of one site does not speak to the others.
func (a Actor) writesAnnouncement(n *Announcement) error {
	if a.Site != "" && (len(n.Sites) != 1 || n.Sites[0] != a.Site) {
		return &ForbiddenError{"forbidden", "a token of one site announces to that site alone"}
	}
	return nil
}

func (a *Announcement) put(tx Tx, at time.Time) error {
	a.Version++
	a.UpdatedAt = millis(at)
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write %s: %w", a.Ref, err)
	}
	live := a.State == AnnouncementDraft || a.State == AnnouncementPublished
	return tx.PutRecord(Record{Kind: AnnouncementRecord, Ref: a.Ref, Version: a.Version, State: string(a.State), Key: a.Incident,
		Live: live, UpdatedAt: a.UpdatedAt, Data: data})
}

func newAnnouncement(tx Tx, a Announcement, by string, at time.Time) (Announcement, error) {
	ref, err := tx.NextRecord(AnnouncementRecord)
	if err != nil {
		return a, err
	}
	a.Ref, a.Version, a.State, a.Updates, a.CreatedBy, a.CreatedAt = ref, 0, AnnouncementDraft, nil, by, millis(at)
	a.From, a.To = millis0(a.From), millis0(a.To)
	return a, a.put(tx, at)
}

// millis0 is millis that leaves the zero time as it is.
func millis0(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return millis(t)
}

// Draft writes an announcement that nobody has seen yet.
func (d *Desk) Draft(ctx context.Context, a Announcement, actor Actor, at time.Time) (Announcement, error) {
	if err := a.check(); err != nil {
		return a, err
	}
	if err := actor.writesAnnouncement(&a); err != nil {
		return a, err
	}
	return written(ctx, d, func(tx Tx) (Announcement, error) {
		if a.Incident != "" {
			if inc, err := otherOf(tx, a.Incident, actor); inc == nil {
				return a, orElse(err, &InvalidError{[]Fault{{"incident", fmt.Sprintf("there is no incident %q", a.Incident)}}})
			}
		}
		return newAnnouncement(tx, a, actor.Name, at)
	})
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// changeAnnouncement changes an announcement that is at that version; 0 is any.
func (d *Desk) changeAnnouncement(ctx context.Context, ref string, version int64, change func(Tx, *Announcement) error, actor Actor, at time.Time) (Announcement, error) {
	return written(ctx, d, func(tx Tx) (Announcement, error) {
		a, err := readRecord[Announcement](tx.Record(AnnouncementRecord, ref))
		if err != nil || !actor.seesAnnouncement(&a) {
			return a, missing(err)
		}
		if err := atVersion(ref, a.Version, version); err != nil {
			return a, err
		}
		if err := actor.writesAnnouncement(&a); err != nil {
			return a, err
		}
		if err := change(tx, &a); err != nil {
			return a, err
		}
		if err := a.check(); err != nil {
			return a, err
		}
		return a, actor.writesAnnouncement(&a)
	})
}

// ChangeDraft changes an announcement that is not out yet.
func (d *Desk) ChangeDraft(ctx context.Context, ref string, version int64, change func(*Announcement), actor Actor, at time.Time) (Announcement, error) {
	return d.changeAnnouncement(ctx, ref, version, func(tx Tx, a *Announcement) error {
		if a.State != AnnouncementDraft {
			return &ConflictError{Code: "published", Detail: fmt.Sprintf("%s is %s; add an update instead", ref, a.State)}
		}
		was := *a
		change(a)
		a.Ref, a.Version, a.Updates, a.CreatedBy, a.CreatedAt, a.Incident = was.Ref, was.Version, nil, was.CreatedBy, was.CreatedAt, was.Incident
		a.From, a.To = millis0(a.From), millis0(a.To)
		if a.State != AnnouncementDraft && a.State != AnnouncementWithdrawn {
			return &InvalidError{[]Fault{{"state", "a draft can be withdrawn; an update publishes it"}}}
		}
		if err := a.check(); err != nil {
			return err
		}
		return a.put(tx, at)
	}, actor, at)
}

// Tell publishes an update of an announcement, the first with the announcement
// itself; with end it is the last.
func (d *Desk) Tell(ctx context.Context, ref string, version int64, text string, end bool, actor Actor, at time.Time) (Announcement, error) {
	return d.changeAnnouncement(ctx, ref, version, func(tx Tx, a *Announcement) error {
		if a.State != AnnouncementDraft && a.State != AnnouncementPublished || len(a.Updates) >= maxUpdates {
			return &ConflictError{Code: "ended", Detail: fmt.Sprintf("%s is %s and has %d updates; make another announcement", ref, a.State, len(a.Updates))}
		}
		if a.State == AnnouncementDraft && strings.TrimSpace(text) == "" {
			text = a.Text
		}
		var f faults
		f.wanted("text", text, "what people are to know")
		f.text("text", text)
		if err := f.err(); err != nil {
			return err
		}
		if a.State = AnnouncementPublished; end {
			a.State = AnnouncementEnded
		}
		a.Updates = append(a.Updates, AnnouncementUpdate{Number: len(a.Updates) + 1, At: millis(at), By: actor.Name, Text: text})
		if err := a.put(tx, at); err != nil {
			return err
		}
		return tx.Announce(a)
	}, actor, at)
}

// Announcement returns an announcement that the actor may see, or ErrNotFound.
func (d *Desk) Announcement(ctx context.Context, ref string, actor Actor) (Announcement, error) {
	a, err := readRecord[Announcement](d.store.OneRecord(ctx, AnnouncementRecord, ref))
	if err != nil || !actor.seesAnnouncement(&a) {
		return Announcement{}, missing(err)
	}
	return a, nil
}

// Announcements returns up to limit announcements that the actor may see, the
// newest first, and where to go on; "" at the end.
func (d *Desk) Announcements(ctx context.Context, q RecordQuery, actor Actor) ([]Announcement, string, error) {
	q.Kind = AnnouncementRecord
	return seen(ctx, d.store, q, actor.seesAnnouncement)
}

// majorAnnouncement drafts what there is to say about a major incident.
func majorAnnouncement(tx Tx, inc *Incident, by string, at time.Time) error {
	a := Announcement{Title: cut(inc.Summary, MaxSummary), Text: "We know of it and are working on it: " + inc.Summary, From: inc.OpenedAt, Incident: inc.Ref}
	if inc.Site != "" {
		a.Sites = []string{inc.Site}
	}
	_, err := newAnnouncement(tx, a, by, at)
	return err
}
