package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Article is something worth knowing, written for the next one who needs it.
type Article struct {
	ID         string   `json:"id,omitempty" maxLength:"128"`
	Title      Text     `json:"title" doc:"By language: en, fr, ro"`
	Body       Text     `json:"body" doc:"By language"`
	Categories []string `json:"categories,omitempty" maxItems:"50" doc:"Of incidents that it helps with"`
	Public     bool     `json:"public,omitempty" doc:"For the people at the sites too, not the desk alone"`
}

// Check returns what is wrong with the article.
func (a *Article) Check() error {
	var f faults
	f.name("id", a.ID)
	f.texts("title", a.Title)
	f.texts("body", a.Body)
	return f.err()
}

// The kinds of what is found.
const (
	ArticleHit    = "article"
	KnownErrorHit = "known_error"
	IncidentHit   = "incident"
)

// HitKinds are the kinds of what a search finds.
var HitKinds = []string{ArticleHit, KnownErrorHit, IncidentHit}

// Entry is a text in the index, beside those of the incidents. One without a
// title is not in it.
type Entry struct {
	Kind, Ref   string
	Site        string // of which it speaks; "" for none
	Internal    bool   // for the desk's eyes only
	Title, Body string
}

// SearchQuery asks for what holds some words.
type SearchQuery struct {
	Q        string
	Kind     string // one of HitKinds; "" for all
	Site     string // only of this site; "" for any
	Level    int    // only incidents at this level; 0 for any
	Supplier string // only incidents that are with it; "" for any
	Internal bool   // also what is for the desk alone
	Limit    int
}

// Hit is something that was found.
type Hit struct {
	Kind  string    `json:"kind"`
	Ref   string    `json:"ref"` // of an incident or a problem, or an article's id
	Title string    `json:"title"`
	Text  string    `json:"text,omitempty"` // how it was solved, or how the article begins
	Site  string    `json:"site,omitempty"`
	At    time.Time `json:"at,omitzero"` // of an incident: when it was resolved
	Score float64   `json:"score"`       // more is better; of no meaning beyond one answer
}

// Search returns what the desk knows about some words, the best first: articles,
// known errors, and incidents that have ended. Accents and case don't matter, a
// word finds those that begin with it, and what holds all words comes before what
// holds some.
func (d *Desk) Search(ctx context.Context, q SearchQuery, language string, actor Actor) ([]Hit, error) {
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	q.Internal = actor.Role.OnDesk() || actor.Role == NOC
	if !actor.narrow(&q.Site, &q.Level, &q.Supplier) {
		return nil, nil
	}
	hits, err := d.store.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	out := hits[:0]
	for _, h := range hits {
		err := d.describe(ctx, &h, language)
		if errors.Is(err, ErrNotFound) {
			continue // it went while we looked
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Ref, err)
		}
		out = append(out, h)
	}
	return out, nil
}

// describe adds what a hit says.
func (d *Desk) describe(ctx context.Context, h *Hit, language string) error {
	switch h.Kind {
	case ArticleHit:
		a, err := d.article(ctx, h.Ref)
		h.Title, h.Text = a.Title.In(language), cut(a.Body.In(language), 300)
		return err
	case KnownErrorHit:
		p, err := readRecord[Problem](d.store.OneRecord(ctx, ProblemRecord, h.Ref))
		h.Title, h.Text, h.Site = p.Title, firstOf(p.Fix, p.Workaround), p.Site
		return err
	}
	inc, err := d.store.Incident(ctx, h.Ref)
	h.Title, h.Text, h.Site, h.At = inc.Summary, firstOf(inc.Resolution.Summary, inc.Resolution.Workaround), inc.Site, inc.ResolvedAt
	return err
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (d *Desk) article(ctx context.Context, id string) (a Article, err error) {
	doc, err := d.Document(ctx, ArticleDocument, id)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(doc.Data, &a)
}

// entryOf returns what an article is found by.
func entryOf(doc Document) (Entry, error) {
	var a Article
	if err := json.Unmarshal(doc.Data, &a); err != nil {
		return Entry{}, fmt.Errorf("read article %s: %w", doc.ID, err)
	}
	e := Entry{Kind: ArticleHit, Ref: doc.ID, Internal: !a.Public}
	if doc.Retired {
		return e, nil
	}
	for _, language := range Languages {
		e.Title += a.Title[language] + "\n"
		e.Body += a.Body[language] + "\n"
	}
	e.Body += strings.Join(a.Categories, "\n")
	return e, nil
}

// indexAtOnce is how many incidents share a transaction when they are indexed, and
// searchWaits how many such transactions a search waits for: after a storm the timers
// do the rest.
const (
	indexAtOnce = 500
	searchWaits = 4
)

// prepare brings the index of texts up to date: the articles and known errors,
// once for each process, for some come along and others were copied; and the
// incidents that were opened since.
func (d *Desk) prepare(ctx context.Context) error {
	if !d.indexed.Load() {
		entries, err := d.entries(ctx)
		if err == nil {
			err = d.store.Update(ctx, func(tx Tx) error {
				for _, e := range entries {
					if err := tx.PutEntry(e); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("index articles and known errors: %w", err)
		}
		d.indexed.Store(true)
	}
	return d.index(ctx, searchWaits)
}

// entries returns what is in the index beside the incidents.
func (d *Desk) entries(ctx context.Context) (out []Entry, err error) {
	articles, err := d.Documents(ctx, ArticleDocument)
	if err != nil {
		return nil, err
	}
	for _, doc := range articles {
		e, err := entryOf(doc)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	for _, state := range []ProblemState{ProblemKnownError, ProblemClosed} {
		problems, _, err := seen(ctx, d.store, RecordQuery{Kind: ProblemRecord, State: string(state), Limit: 100_000}, func(*Problem) bool { return true })
		if err != nil {
			return nil, err
		}
		for i := range problems {
			out = append(out, problems[i].entry())
		}
	}
	return out, nil
}

// index puts the incidents into the index that are not in it yet, in so many
// transactions at the most.
func (d *Desk) index(ctx context.Context, most int) error {
	for n := indexAtOnce; n == indexAtOnce && most > 0; most-- {
		err := d.store.Update(ctx, func(tx Tx) (err error) {
			n, err = tx.Index(indexAtOnce)
			return err
		})
		if err != nil {
			return fmt.Errorf("index incidents: %w", err)
		}
	}
	return nil
}
