package incidents

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ProblemState says how far the work on a problem has got.
type ProblemState string

// The states of a problem.
const (
	ProblemProposed   ProblemState = "proposed"    // by belfry; nobody has said yes or no
	ProblemOpen       ProblemState = "open"        // somebody looks for the cause
	ProblemKnownError ProblemState = "known_error" // the cause is known, and how to live with it
	ProblemClosed     ProblemState = "closed"      // the cause is gone
	ProblemRejected   ProblemState = "rejected"    // it is none
)

// ProblemStates are the states of a problem.
var ProblemStates = []ProblemState{ProblemProposed, ProblemOpen, ProblemKnownError, ProblemClosed, ProblemRejected}

// Ended reports whether nobody works on the problem any more.
func (s ProblemState) Ended() bool { return s == ProblemClosed || s == ProblemRejected }

// Problem is the cause behind incidents. As a known error it says how the cause
// shows, how to live with it, and which devices have it.
type Problem struct {
	Ref        string       `json:"ref"`
	Version    int64        `json:"version"`
	State      ProblemState `json:"state"`
	Title      string       `json:"title"`
	Why        string       `json:"why,omitempty"` // why belfry proposed it
	Key        string       `json:"key,omitempty"`
	Category   string       `json:"category,omitempty"`
	Site       string       `json:"site,omitempty"`
	Incidents  []string     `json:"incidents,omitempty"`
	Major      bool         `json:"major,omitempty"`
	Owner      string       `json:"owner,omitempty"`
	Symptom    string       `json:"symptom,omitempty"`
	Cause      string       `json:"cause,omitempty"`
	Workaround string       `json:"workaround,omitempty"`
	Fix        string       `json:"fix,omitempty"`
	Reason     string       `json:"reason,omitempty"` // why it was closed or rejected
	Models     []string     `json:"models,omitempty"`
	Firmware   []string     `json:"firmware,omitempty"`
	OpenedBy   string       `json:"opened_by"`
	OpenedAt   time.Time    `json:"opened_at"`
	UpdatedBy  string       `json:"updated_by"`
	UpdatedAt  time.Time    `json:"updated_at"`
	EndedAt    time.Time    `json:"ended_at,omitzero"`
}

// When incidents that are alike make a problem.
const (
	recurrences   = 3
	recurrentFor  = 30 * 24 * time.Hour
	incidentsKept = 200 // of a problem's list; what comes after is in the incidents' own
)

// check returns what is wrong with a problem as a person would have it.
func (p *Problem) check() error {
	var f faults
	if strings.TrimSpace(p.Title) == "" || len(p.Title) > MaxSummary {
		f.add("title", "has %d bytes; want 1 to %d", len(p.Title), MaxSummary)
	}
	if !slices.Contains(ProblemStates, p.State) {
		f.add("state", "no state %q; want one of %v", p.State, ProblemStates)
	}
	for field, text := range map[string]string{"symptom": p.Symptom, "cause": p.Cause, "workaround": p.Workaround, "fix": p.Fix, "reason": p.Reason} {
		f.text(field, text)
	}
	if len(p.Owner) > MaxName {
		f.add("owner", "has %d bytes; at most %d", len(p.Owner), MaxName)
	}
	if p.State == ProblemKnownError {
		f.wanted("symptom", p.Symptom, "how it shows")
		f.wanted("cause", p.Cause, "what it comes from")
		f.wanted("workaround", p.Workaround+p.Fix, "how to live with it, unless fix says how to end it")
	}
	if p.State == ProblemRejected || p.State == ProblemClosed && p.Fix == "" {
		f.wanted("reason", p.Reason, "why it ends here")
	}
	slices.SortStableFunc(f, func(a, b Fault) int { return strings.Compare(a.Field, b.Field) })
	return f.err()
}

func (f *faults) wanted(field, text, what string) {
	if strings.TrimSpace(text) == "" {
		f.add(field, "is missing; want %s", what)
	}
}

// text is what the problem is found by once it is a known error.
func (p *Problem) entry() Entry {
	e := Entry{Kind: KnownErrorHit, Ref: p.Ref, Site: p.Site, Internal: true, Title: p.Title}
	if p.State != ProblemKnownError && (p.State != ProblemClosed || p.Cause == "") {
		return Entry{Kind: e.Kind, Ref: e.Ref} // not in the index
	}
	e.Body = strings.Join(append(append([]string{p.Symptom, p.Cause, p.Workaround, p.Fix, p.Category}, p.Models...), p.Firmware...), "\n")
	return e
}

// put writes the next version of a problem.
func (p *Problem) put(tx Tx, by string, at time.Time) error {
	p.Version++
	p.UpdatedBy, p.UpdatedAt = by, millis(at)
	if p.State.Ended() && p.EndedAt.IsZero() {
		p.EndedAt = p.UpdatedAt
	} else if !p.State.Ended() {
		p.EndedAt = time.Time{}
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write %s: %w", p.Ref, err)
	}
	if err := tx.PutEntry(p.entry()); err != nil {
		return err
	}
	return tx.PutRecord(Record{Kind: ProblemRecord, Ref: p.Ref, Version: p.Version, State: string(p.State), Key: p.Key,
		Live: !p.State.Ended(), UpdatedAt: p.UpdatedAt, Data: data})
}

// newProblem gives a problem its reference and writes it.
func newProblem(tx Tx, p Problem, by string, at time.Time) (Problem, error) {
	ref, err := tx.NextRecord(ProblemRecord)
	if err != nil {
		return p, err
	}
	p.Ref, p.Version, p.OpenedBy, p.OpenedAt = ref, 0, by, millis(at)
	return p, p.put(tx, by, at)
}

// OpenProblem writes a problem that a person knows of.
func (d *Desk) OpenProblem(ctx context.Context, p Problem, actor Actor, at time.Time) (Problem, error) {
	p.Key, p.Why = "", ""
	orParent(&p.State, ProblemOpen)
	if err := p.check(); err != nil {
		return p, err
	}
	return written(ctx, d, func(tx Tx) (Problem, error) {
		if err := theirs(tx, p.Incidents, actor); err != nil {
			return p, err
		}
		return newProblem(tx, p, actor.Name, at)
	})
}

// theirs refuses incidents that are not there, or not the actor's to see.
func theirs(tx Tx, refs []string, actor Actor) error {
	var f faults
	if len(refs) > incidentsKept {
		f.add("incidents", "has %d; at most %d", len(refs), incidentsKept)
		return f.err()
	}
	for i, ref := range refs {
		inc, err := otherOf(tx, ref, actor)
		if err != nil {
			return err
		}
		if inc == nil {
			f.add(fmt.Sprintf("incidents[%d]", i), "there is no incident %q", ref)
		}
	}
	return f.err()
}

// ChangeProblem changes a problem that is at that version; 0 is any.
func (d *Desk) ChangeProblem(ctx context.Context, ref string, version int64, change func(*Problem), actor Actor, at time.Time) (Problem, error) {
	return written(ctx, d, func(tx Tx) (Problem, error) {
		p, err := readRecord[Problem](tx.Record(ProblemRecord, ref))
		if err != nil || !actor.seesProblem(&p) {
			return p, missing(err)
		}
		if err := atVersion(ref, p.Version, version); err != nil {
			return p, err
		}
		was := p
		change(&p)
		p.Ref, p.Version, p.Key, p.Why, p.OpenedBy, p.OpenedAt, p.EndedAt = was.Ref, was.Version, was.Key, was.Why, was.OpenedBy, was.OpenedAt, was.EndedAt
		if err := p.check(); err != nil {
			return was, err
		}
		if err := theirs(tx, p.Incidents, actor); err != nil {
			return was, err
		}
		return p, p.put(tx, actor.Name, at)
	})
}

// missing is the error of what is not there, or not to be seen.
func missing(err error) error {
	if err == nil {
		return ErrNotFound
	}
	return err
}

// seesProblem reports whether the actor may know of the problem: those of one
// site see what is about that site.
func (a Actor) seesProblem(p *Problem) bool {
	return (a.Role.OnDesk() || a.Role == NOC) && (a.Site == "" || a.Site == p.Site)
}

// Problem returns a problem that the actor may see, or ErrNotFound.
func (d *Desk) Problem(ctx context.Context, ref string, actor Actor) (Problem, error) {
	p, err := readRecord[Problem](d.store.OneRecord(ctx, ProblemRecord, ref))
	if err != nil || !actor.seesProblem(&p) {
		return Problem{}, missing(err)
	}
	return p, nil
}

// Problems returns up to limit problems that the actor may see, the newest first,
// and where to go on; "" at the end.
func (d *Desk) Problems(ctx context.Context, q RecordQuery, actor Actor) ([]Problem, string, error) {
	q.Kind = ProblemRecord
	return seen(ctx, d.store, q, actor.seesProblem)
}

// seen pages through records for those that may be seen.
func seen[T any](ctx context.Context, store Archive, q RecordQuery, sees func(*T) bool) (out []T, next string, err error) {
	want := q.Limit
	for q.Limit = maxRecords; ; {
		page, err := store.Records(ctx, q)
		if err != nil {
			return nil, "", err
		}
		for _, r := range page {
			v, err := readRecord[T](r, nil)
			if err != nil {
				return nil, "", err
			}
			if !sees(&v) {
				continue
			}
			if len(out) == want {
				return out, next, nil
			}
			out, next = append(out, v), r.Ref
		}
		if len(page) < q.Limit {
			return out, "", nil
		}
		q.Before = page[len(page)-1].Ref
	}
}
