package incidents

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// harmless are the ways to end behind which there is no cause to look for.
var harmless = []string{"false_positive", "site_closed", "duplicate", "no_action", "mistake"}

// Counts reports whether the incident's end says that something is wrong which
// may come again.
func (inc *Incident) Counts() bool {
	return inc.State == Closed && inc.Category != "" && !slices.Contains(harmless, inc.Resolution.Code)
}

// ClosingQuery selects incidents that are alike: of a category and a site, or of a
// category and a make of device.
type ClosingQuery struct {
	Category, Site  string
	Model, Firmware string // instead of the site
	Since           time.Time
	Limit           int
}

func (q ClosingQuery) key() string {
	if q.Site != "" {
		return "site\x1f" + q.Category + "\x1f" + q.Site
	}
	return "make\x1f" + q.Category + "\x1f" + q.Model + "\x1f" + q.Firmware
}

// String says what the incidents have in common.
func (q ClosingQuery) String() string {
	if q.Site != "" {
		return "of " + q.Category + " at " + q.Site
	}
	return fmt.Sprintf("of %s on %s with firmware %s", q.Category, q.Model, q.Firmware)
}

// save writes steps and what the desk learns from them.
func (d *Desk) save(tx Tx, steps []Step) error {
	if err := tx.Save(steps); err != nil {
		return err
	}
	for i := range steps {
		if err := learn(tx, &steps[i]); err != nil {
			return fmt.Errorf("learn from %s: %w", steps[i].After.Ref, err)
		}
	}
	return nil
}

// learn looks for a problem behind what has closed, and writes one for what was
// declared major, with the draft of an announcement.
func learn(tx Tx, s *Step) error {
	inc, at := &s.After, s.Event.At
	if s.Before.State != Closed && inc.Counts() {
		return recurs(tx, inc, at)
	}
	if !s.Before.Major && inc.Major {
		if err := majorProblem(tx, inc, at); err != nil {
			return err
		}
		return majorAnnouncement(tx, inc, s.Event.Actor, at)
	}
	return nil
}

func recurs(tx Tx, inc *Incident, at time.Time) error {
	alike := []ClosingQuery{{Category: inc.Category, Site: inc.Site}}
	made, err := MakeOf(tx, inc)
	if err != nil {
		return err
	}
	alike = append(alike, ClosingQuery{Category: inc.Category, Model: made.Model, Firmware: made.Firmware})
	for _, q := range alike {
		if q.Site == "" && (q.Model == "" || q.Firmware == "") {
			continue
		}
		q.Limit = incidentsKept
		if err := propose(tx, inc, q, at); err != nil {
			return err
		}
	}
	return nil
}

// MakeOf returns the make of an incident's device: as it was when the incident was
// opened, where that was known, for what failed may have been mended by another firmware
// since.
func MakeOf(tx Shelf, inc *Incident) (Make, error) {
	made := Make{inc.Model, inc.Firmware}
	if inc.Device == "" || made.Model != "" && made.Firmware != "" {
		return made, nil
	}
	makes, err := tx.Makes([]string{inc.Device})
	now := makes[inc.Device]
	return Make{cmp.Or(made.Model, now.Model), cmp.Or(made.Firmware, now.Firmware)}, err
}

// propose adds the incident to the problem that there is, or makes one when
// enough has closed since the last one ended.
func propose(tx Tx, inc *Incident, q ClosingQuery, at time.Time) error {
	r, known, err := found(tx.NewestRecord(ProblemRecord, q.key()))
	if err != nil {
		return err
	}
	q.Since = at.Add(-recurrentFor)
	if known {
		p, err := readRecord[Problem](r, nil)
		if err != nil {
			return err
		}
		if !p.State.Ended() {
			return p.join(tx, inc.Ref, at)
		}
		q.Since = later(q.Since, p.EndedAt)
	}
	refs, err := tx.Closings(q)
	if err != nil || len(refs) < recurrences {
		return err
	}
	p := Problem{State: ProblemProposed, Title: fmt.Sprintf("%d incidents %s", len(refs), q), Key: q.key(), Category: q.Category, Site: q.Site,
		Why:       fmt.Sprintf("%d incidents %s closed within 30 days", len(refs), q),
		Incidents: refs}
	if q.Model != "" {
		p.Models, p.Firmware = []string{q.Model}, []string{q.Firmware}
	}
	_, err = newProblem(tx, p, belfry.Name, at)
	return err
}

// join notes one more incident of the problem.
func (p *Problem) join(tx Tx, ref string, at time.Time) error {
	if slices.Contains(p.Incidents, ref) || len(p.Incidents) >= incidentsKept {
		return nil
	}
	p.Incidents = append(p.Incidents, ref)
	return p.put(tx, belfry.Name, at)
}

func majorProblem(tx Tx, inc *Incident, at time.Time) error {
	p := Problem{State: ProblemOpen, Title: cut("Major: "+inc.Summary, MaxSummary), Major: true, Key: "major\x1f" + inc.Ref, Category: inc.Category,
		Site: inc.Site, Why: inc.Ref + " was declared a major incident", Incidents: []string{inc.Ref}}
	if inc.Model != "" {
		p.Models = []string{inc.Model}
	}
	if inc.Firmware != "" {
		p.Firmware = []string{inc.Firmware}
	}
	_, err := newProblem(tx, p, belfry.Name, at)
	return err
}

// cut shortens a text to so many bytes, at a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
