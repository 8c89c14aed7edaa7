package incidents

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// DocumentKind says what a document is.
type DocumentKind string

// The kinds of documents.
const (
	CalendarDocument  DocumentKind = "calendar"
	AgreementDocument DocumentKind = "agreement"
	SilenceDocument   DocumentKind = "silence"
	WindowDocument    DocumentKind = "window"

	CategoryDocument      DocumentKind = "category"
	QuestionnaireDocument DocumentKind = "questionnaire"
	MatrixDocument        DocumentKind = "matrix"
	ArticleDocument       DocumentKind = "article"
)

// bookKinds are the kinds that a book is made of.
var bookKinds = []DocumentKind{CalendarDocument, AgreementDocument, SilenceDocument, WindowDocument,
	CategoryDocument, QuestionnaireDocument, MatrixDocument}

// Document is one version of something that managers write. Versions are never
// changed: what was begun under one can be ended under it.
type Document struct {
	Kind    DocumentKind
	ID      string
	Version int64 // from 1; 0 is what belfry brings
	At      time.Time
	Actor   string
	Retired bool // from this version on nothing new is begun under it
	Data    json.RawMessage
}

// businessCalendar is the id of the calendar whose days count for approvals.
const businessCalendar = "office"

// defaults are the documents of a new tenant: these, and those of the embedded files.
var defaults = append([]Document{
	document(CalendarDocument, "24x7", Calendar{ID: "24x7", Name: "Around the clock", Zone: "UTC", Always: true}),
	document(CalendarDocument, businessCalendar, Calendar{ID: businessCalendar, Name: "Office hours", Zone: "UTC",
		Hours: map[string]string{"mon-fri": "08:00-18:00"}}),
	document(AgreementDocument, "client", Agreement{ID: "client", Name: "Every client", Kind: SLA, Calendar: "24x7",
		Targets: map[int]Targets{1: {60, 24 * 60, 2 * 60}, 2: {120, 24 * 60, 4 * 60}, 3: {180, 24 * 60, 10 * 60}, 4: {180, 24 * 60, 20 * 60}}}),
	document(AgreementDocument, "level-1", Agreement{ID: "level-1", Name: "First line", Kind: OLA, Level: 1,
		Calendar: businessCalendar, Escalate: true, Targets: levelTargets(4, 8)}),
	document(AgreementDocument, "level-2", Agreement{ID: "level-2", Name: "Second line", Kind: OLA, Level: 2,
		Calendar: businessCalendar, Targets: levelTargets(8, 16)}),
	document(AgreementDocument, "supplier", Agreement{ID: "supplier", Name: "Every supplier", Kind: UC,
		Calendar: businessCalendar, Targets: levelTargets(20, 50)}),
	document(MatrixDocument, matrixID, PriorityMatrix{ID: matrixID, Priorities: DefaultMatrix}),
}, readDefaults()...)

// levelTargets gives the hours of priorities 1 and 2, and of 3 and 4.
func levelTargets(urgent, other int) map[int]Targets {
	u, o := Targets{Resolve: urgent * 60}, Targets{Resolve: other * 60}
	return map[int]Targets{1: u, 2: u, 3: o, 4: o}
}

func document(kind DocumentKind, id string, v any) Document {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the values stand above
	}
	return Document{Kind: kind, ID: id, Data: data}
}

// readBook returns the book as it stands, outside of a transaction.
func (d *Desk) readBook(ctx context.Context) (*Book, error) {
	documents, revision, err := d.store.Documents(ctx, bookKinds...)
	if err != nil {
		return nil, err
	}
	if known := d.book.Load(); known != nil && known.revision == revision {
		return known.book, nil
	}
	return NewBook(documents)
}

// Office returns the calendar of the office, as it is now.
func (d *Desk) Office(ctx context.Context) (*Calendar, error) {
	book, err := d.readBook(ctx)
	if err != nil {
		return nil, err
	}
	return book.business(), nil
}

// Documents returns the newest version of each document of a kind, by id. Those
// that are retired are left out.
func (d *Desk) Documents(ctx context.Context, kind DocumentKind) ([]Document, error) {
	list, _, err := d.store.Documents(ctx, kind)
	if err != nil {
		return nil, err
	}
	return current(kind, list), nil
}

// current returns the newest versions over the defaults.
func current(kind DocumentKind, list []Document) []Document {
	newest := map[string]Document{}
	for _, doc := range append(slices.Clone(defaults), list...) {
		if doc.Kind == kind {
			newest[doc.ID] = doc
		}
	}
	var out []Document
	for _, doc := range newest {
		if !doc.Retired {
			out = append(out, doc)
		}
	}
	slices.SortFunc(out, func(a, b Document) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return out
}

// Document returns the newest version of one document, or ErrNotFound.
func (d *Desk) Document(ctx context.Context, kind DocumentKind, id string) (Document, error) {
	list, err := d.Documents(ctx, kind)
	if err != nil {
		return Document{}, err
	}
	return pick(list, id)
}

func pick(list []Document, id string) (Document, error) {
	for _, doc := range list {
		if doc.ID == id {
			return doc, nil
		}
	}
	return Document{}, ErrNotFound
}

// Expected is the version of a document that a change is meant for.
type Expected struct {
	Version int64
	New     bool // there is none yet
}

// PutDocument writes the next version of a document: it is checked, and so is
// what it would do to the others. The document is made when there is none of its
// id, and else it must be at the expected version (ErrStale); ErrExists when it
// was expected not to be there. Retired retires it.
func (d *Desk) PutDocument(ctx context.Context, doc Document, want Expected, at time.Time) (Document, error) {
	err := d.store.Update(ctx, func(tx Tx) error {
		all, err := tx.Documents(append([]DocumentKind{ArticleDocument}, bookKinds...)...)
		if err != nil {
			return err
		}
		old, err := pick(current(doc.Kind, all), doc.ID)
		switch {
		case err == nil && want.New:
			return ErrExists
		case err != nil && !want.New:
			return ErrNotFound
		case err == nil && old.Version != want.Version:
			return fmt.Errorf("it is at version %d, not %d: %w", old.Version, want.Version, ErrStale)
		}
		doc.Version, doc.At = lastVersion(all, doc)+1, millis(at)
		if doc.Retired {
			doc.Data = old.Data
		}
		if err := checkDocument(all, doc); err != nil {
			return err
		}
		if err := tx.PutDocument(doc); err != nil || doc.Kind != ArticleDocument {
			return err
		}
		e, err := entryOf(doc)
		if err != nil {
			return err
		}
		return tx.PutEntry(e)
	})
	if err != nil {
		return doc, fmt.Errorf("write the %s %s: %w", doc.Kind, doc.ID, err)
	}
	return doc, nil
}

// lastVersion returns the newest version that there ever was: one that was retired
// and made again goes on from there.
func lastVersion(all []Document, doc Document) (version int64) {
	for _, o := range all {
		if o.Kind == doc.Kind && o.ID == doc.ID {
			version = max(version, o.Version)
		}
	}
	return version
}

// checkDocument returns what is wrong with a document, or with the book that it
// would make.
func checkDocument(all []Document, doc Document) error {
	var checked interface{ Check() error }
	switch doc.Kind {
	case CalendarDocument:
		checked = &Calendar{}
	case AgreementDocument:
		checked = &Agreement{}
	case SilenceDocument:
		checked = &Silence{}
	case WindowDocument:
		checked = &Window{}
	case CategoryDocument:
		checked = &Category{}
	case QuestionnaireDocument:
		checked = &Questionnaire{}
	case MatrixDocument:
		checked = &PriorityMatrix{}
	case ArticleDocument:
		checked = &Article{}
	default:
		return fmt.Errorf("no kind of document %q", doc.Kind)
	}
	if err := json.Unmarshal(doc.Data, checked); err != nil {
		return &InvalidError{[]Fault{{string(doc.Kind), err.Error()}}}
	}
	if err := checked.Check(); err != nil {
		return err
	}
	if doc.Kind == SilenceDocument {
		return immutable(all, doc)
	}
	if doc.Kind == CalendarDocument && doc.Retired {
		return retirable(all, doc)
	}
	if err := whole(all, doc); err != nil {
		return err
	}
	if _, err := NewBook(append(slices.Clone(all), doc)); err != nil {
		return &InvalidError{[]Fault{{string(doc.Kind), err.Error()}}}
	}
	return nil
}

// retirable keeps a calendar that belfry itself or an agreement counts by.
func retirable(all []Document, doc Document) error {
	used := doc.ID == businessCalendar
	for _, a := range current(AgreementDocument, all) {
		var agreement Agreement
		used = used || json.Unmarshal(a.Data, &agreement) == nil && agreement.Calendar == doc.ID
	}
	if used {
		return &ConflictError{Code: "in-use", Detail: fmt.Sprintf("the calendar %s is still counted by", doc.ID)}
	}
	return nil
}

// whole keeps what refers to something that is there: a category to its
// questionnaire and articles. The matrix stays.
func whole(all []Document, doc Document) error {
	if doc.Kind == MatrixDocument && doc.Retired {
		return &ConflictError{Code: "in-use", Detail: "there is always a matrix; change it instead"}
	}
	if doc.Kind == QuestionnaireDocument && doc.Retired || doc.Kind == ArticleDocument && doc.Retired {
		return unused(all, doc)
	}
	if doc.Kind != CategoryDocument || doc.Retired {
		return nil
	}
	var c Category
	if err := json.Unmarshal(doc.Data, &c); err != nil {
		return err
	}
	var f faults
	if _, err := pick(current(QuestionnaireDocument, all), c.Questionnaire); err != nil && c.Questionnaire != "" {
		f.add("questionnaire", "there is no questionnaire %q", c.Questionnaire)
	}
	for i, id := range c.Articles {
		if _, err := pick(current(ArticleDocument, all), id); err != nil {
			f.add(fmt.Sprintf("articles[%d]", i), "there is no article %q", id)
		}
	}
	return f.err()
}

// unused keeps what a category refers to.
func unused(all []Document, doc Document) error {
	for _, d := range current(CategoryDocument, all) {
		var c Category
		if err := json.Unmarshal(d.Data, &c); err != nil {
			return err
		}
		if c.Questionnaire == doc.ID && doc.Kind == QuestionnaireDocument || slices.Contains(c.Articles, doc.ID) && doc.Kind == ArticleDocument {
			return &ConflictError{Code: "in-use", Detail: fmt.Sprintf("the category %s still names it", c.ID)}
		}
	}
	return nil
}
