package incidents

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Book is what managers have laid down, as it stands: the calendars and the
// agreements, with the versions that running clocks hold on to. It is not changed
// once made; a change of a document makes another book.
type Book struct {
	calendars  map[string]*Calendar // every version, by id@version
	current    map[string]string    // newest version of each calendar by id
	agreements []*Agreement         // the newest versions, those that are retired left out
	escalates  map[string]bool      // id@version of agreements that escalate
	silences   []*Silence           // the newest versions, those that are retired left out
	windows    []*Window            // the same
	matrix     Matrix               // nil: the desk's own

	categories     map[string]*Category      // the newest versions by id, with what they inherit
	questionnaires map[string]*Questionnaire // every version, by id@version
	asks           map[string]string         // newest version of each questionnaire by id
}

// NewBook returns the book that the documents add up to, over the defaults that a
// new tenant has. The documents come in the order of kind, id and version.
func NewBook(documents []Document) (*Book, error) {
	b := &Book{calendars: map[string]*Calendar{}, current: map[string]string{}, escalates: map[string]bool{}}
	all := append(slices.Clone(defaults), documents...)
	for i := range all {
		if all[i].Kind == CalendarDocument {
			if err := b.addCalendar(&all[i]); err != nil {
				return nil, err
			}
		}
	}
	newest := map[string]*Document{}
	for i := range all {
		if all[i].Kind == AgreementDocument {
			newest[all[i].ID] = &all[i]
			if err := b.noteEscalation(&all[i]); err != nil {
				return nil, err
			}
		}
	}
	for _, d := range newest {
		if err := b.addAgreement(d); err != nil {
			return nil, err
		}
	}
	for _, add := range []func() error{
		func() error { return b.addNoise(documents) },
		func() error { return b.addCategories(documents) },
		func() error { return b.addQuestionnaires(documents) },
		func() error { return b.addMatrix(documents) },
	} {
		if err := add(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(b.agreements, func(x, y *Agreement) int { return strings.Compare(x.ID, y.ID) })
	return b, nil
}

func (b *Book) addCalendar(d *Document) error {
	var c Calendar
	if err := json.Unmarshal(d.Data, &c); err != nil {
		return fmt.Errorf("read calendar %s: %w", d.ID, err)
	}
	if err := c.Check(); err != nil {
		return fmt.Errorf("calendar %s: %w", d.ID, err)
	}
	ref := versioned(d.ID, d.Version)
	b.calendars[ref] = &c
	b.current[d.ID] = ref
	return nil
}

func (b *Book) noteEscalation(d *Document) error {
	var a Agreement
	if err := json.Unmarshal(d.Data, &a); err != nil {
		return fmt.Errorf("read agreement %s: %w", d.ID, err)
	}
	b.escalates[versioned(d.ID, d.Version)] = a.Escalate && a.Kind == OLA && a.Level == 1
	return nil
}

func (b *Book) addAgreement(d *Document) error {
	if d.Retired {
		return nil
	}
	a := &Agreement{ref: versioned(d.ID, d.Version)}
	if err := json.Unmarshal(d.Data, a); err != nil {
		return fmt.Errorf("read agreement %s: %w", d.ID, err)
	}
	a.calRef = b.current[a.Calendar]
	if a.calendar = b.calendars[a.calRef]; a.calendar == nil {
		return fmt.Errorf("agreement %s: there is no calendar %q", a.ID, a.Calendar)
	}
	b.agreements = append(b.agreements, a)
	return nil
}

// agreement returns the one that fits the incident best; nil when none does. Of
// two that fit alike it is the first by id.
func (b *Book) agreement(kind AgreementKind, level int, inc *Incident) (best *Agreement) {
	score, class := -1, b.category(inc.Category).Class
	for _, a := range b.agreements {
		if a.Kind != kind || a.Level != level {
			continue
		}
		if s := a.fits(inc, class); s > score {
			best, score = a, s
		}
	}
	return best
}

// calendar returns a version of a calendar. Versions are never forgotten, so one
// that a clock names is there.
func (b *Book) calendar(ref string) *Calendar {
	if c := b.calendars[ref]; c != nil {
		return c
	}
	return aroundTheClock
}

var aroundTheClock = &Calendar{ID: "24x7", Zone: "UTC", Always: true}

// business is the calendar whose days count for approvals.
func (b *Book) business() *Calendar { return b.calendar(b.current[businessCalendar]) }
