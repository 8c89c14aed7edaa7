package store

import (
	"context"
	"fmt"
	"strings"

	"belfry/incidents"
)

// fewRows is how many rows of some sorts are looked through one by one, rather than
// asked of the index. The index first gathers everything that holds a word, which for
// a common one is more than a page needs; the newest rows, or those of a narrow
// filter, hold a page of a common word at once.
const fewRows = 10_000

// withWords lists the incidents whose summaries hold all words: those that are not in
// the index yet and the newest of the others one by one, and the rest by the index.
func (t *Tickets) withWords(ctx context.Context, q incidents.Query) ([]incidents.Incident, error) {
	list := phrases(q.Q)
	if len(list) == 0 {
		return nil, nil
	}
	by, narrow, err := t.narrow(ctx, q)
	if err != nil {
		return nil, err
	}
	look := t.conditions(q, by)
	look.holds("words", list)
	if narrow {
		return t.listed(ctx, look, q.Limit)
	}
	to, err := indexedTo(ctx, t.read)
	if err != nil {
		return nil, err
	}
	from := max(0, to-newestLooked)
	look.add(look.id+" > ?", from)
	newest, err := t.listed(ctx, look, q.Limit)
	if err != nil || len(newest) == q.Limit || from == 0 {
		return newest, err
	}
	older, err := t.indexed(ctx, q, list, from, q.Limit-len(newest))
	return append(newest, older...), err
}

// holds asks for phrases in a column that holds words as spaced writes them.
func (f *incidentFilter) holds(column string, list [][]string) {
	for _, phrase := range list {
		f.add(f.instr+"("+column+", ?) > 0", " "+strings.Join(phrase, " "))
	}
}

// rarest returns the word that probably the fewest rows hold: one with digits, as
// in names, and else the longest. The index is asked for this one alone, for it
// would gather all that hold any other.
func rarest(list [][]string) (word string) {
	best := 0
	for _, phrase := range list {
		for _, w := range phrase {
			score := len(w)
			if strings.ContainsAny(w, "0123456789") {
				score += longestWord
			}
			if score > best {
				word, best = w, score
			}
		}
	}
	return word
}

// indexed lists by the index, up to a number.
func (t *Tickets) indexed(ctx context.Context, q incidents.Query, list [][]string, to int64, limit int) ([]incidents.Incident, error) {
	f := t.conditions(q, 0)
	f.holds("words", list)
	word := [][]string{{rarest(list)}}
	from, number := "search CROSS JOIN incidents i", "search.rowid"
	if t.numbered {
		from, number = "(SELECT id AS number, vector FROM search) s CROSS JOIN incidents i", "s.number"
		f.add("vector @@ CAST(? AS tsquery)", t.question(word, asking{title: true}))
	} else {
		f.add("search MATCH ?", t.question(word, asking{title: true}))
	}
	f.add("i.id = "+number+" AND "+number+" <= ?", to)
	found, err := rowsOf(ctx, t.read, "WHERE id IN (SELECT i.id FROM "+from+f.where()+
		" ORDER BY "+number+" DESC LIMIT ?) ORDER BY id DESC", append(f.args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list incidents by their words: %w", err)
	}
	return found, nil
}

// narrow reports whether the other filters let few incidents through, and by which
// way they are found. How many there are of each sort is known.
func (t *Tickets) narrow(ctx context.Context, q incidents.Query) (by way, yes bool, err error) {
	if q.Site != "" || q.Device != "" || q.Assignee != "" || q.Supplier != "" || q.Reporter != "" || q.Parent != "" {
		return 0, true, nil
	}
	if !q.UpdatedSince.IsZero() {
		if few, err := t.littleChanged(ctx, q); err != nil || few {
			return byChange, true, err
		}
	}
	f := t.sorted(q)
	if len(f.terms) == 0 {
		return 0, false, nil
	}
	n, err := t.tallied(ctx, f)
	if n > fewRows {
		return 0, false, err
	}
	return bySort, true, err
}
