package incidents

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Guide is what helps with an incident: what its category lays down, and how the
// like of it was solved.
type Guide struct {
	Category      Category
	Questionnaire *Questionnaire // nil when nothing is asked
	Version       string         // of the questionnaire: id@version
	Done          bool           // it was answered to its end
	Articles      []Hit
	KnownErrors   []Hit
	Device        []Incident // solved before, on this device
	Site          []Incident // of this category at this site
	Others        []Incident // of this category elsewhere
}

// SolvedQuery asks for incidents that people have solved. Empty fields ask for
// nothing in particular.
type SolvedQuery struct {
	Device, Site, Category string
	Level                  int
	Supplier               string
	Not                    []string // references that are left out
	Limit                  int
}

// solvedShown is how many solved incidents of each sort a guide shows.
const solvedShown = 3

// Guide returns what helps with an incident.
func (d *Desk) Guide(ctx context.Context, ref, language string, actor Actor) (Guide, error) {
	inc, err := d.Get(ctx, ref, actor)
	if err != nil {
		return Guide{}, err
	}
	book, err := d.readBook(ctx)
	if err != nil {
		return Guide{}, err
	}
	g := Guide{Category: *book.category(inc.Category), Version: book.asksFirst(inc.Category)}
	if g.Questionnaire = book.questionnaire(g.Version); g.Questionnaire != nil {
		g.Done = inc.answered(g.Version)
	}
	if err := d.knowledge(ctx, &g, &inc, language, actor); err != nil {
		return g, err
	}
	return g, d.solvedBefore(ctx, &g, &inc, actor)
}

// knowledge adds the articles of the category, and the known errors that are like
// the incident.
func (d *Desk) knowledge(ctx context.Context, g *Guide, inc *Incident, language string, actor Actor) error {
	articles, err := d.Documents(ctx, ArticleDocument)
	if err != nil {
		return err
	}
	desk := actor.Role.OnDesk() || actor.Role == NOC
	for _, doc := range articles {
		a, err := readRecord[Article](Record{Ref: doc.ID, Data: doc.Data}, nil)
		if err != nil {
			return err
		}
		meant := slices.Contains(g.Category.Articles, a.ID) || slices.Contains(a.Categories, inc.Category)
		if meant && (a.Public || desk) {
			g.Articles = append(g.Articles, Hit{Kind: ArticleHit, Ref: a.ID, Title: a.Title.In(language), Text: cut(a.Body.In(language), 300)})
		}
	}
	if !desk {
		return nil
	}
	known, err := d.store.Records(ctx, RecordQuery{Kind: ProblemRecord, State: string(ProblemKnownError), Limit: maxRecords})
	if err != nil {
		return err
	}
	for _, r := range known {
		p, err := readRecord[Problem](r, nil)
		if err != nil {
			return err
		}
		if p.Category == inc.Category && actor.seesProblem(&p) && (p.Site == "" || p.Site == inc.Site) {
			g.KnownErrors = append(g.KnownErrors, Hit{Kind: KnownErrorHit, Ref: p.Ref, Title: p.Title, Text: firstOf(p.Fix, p.Workaround), Site: p.Site})
		}
	}
	return nil
}

// solvedBefore adds how this was solved before, each incident once.
func (d *Desk) solvedBefore(ctx context.Context, g *Guide, inc *Incident, actor Actor) (err error) {
	not := []string{inc.Ref}
	look := func(q SolvedQuery) (list []Incident) {
		if err != nil || q.Device+q.Site+q.Category == "" {
			return nil
		}
		if q.Limit, q.Not = solvedShown, not; !actor.narrow(&q.Site, &q.Level, &q.Supplier) {
			return nil
		}
		list, err = d.store.SolvedBefore(ctx, q)
		for i := range list {
			not = append(not, list[i].Ref)
		}
		return list
	}
	if inc.Device != "" {
		g.Device = look(SolvedQuery{Device: inc.Device})
	}
	if inc.Site != "" {
		g.Site = look(SolvedQuery{Site: inc.Site, Category: inc.Category})
	}
	if inc.Category != "" {
		g.Others = look(SolvedQuery{Category: inc.Category})
	}
	if err != nil {
		return fmt.Errorf("look how %s was solved before: %w", inc.Ref, err)
	}
	return nil
}

// ActionQuery selects actions that are still to be done.
type ActionQuery struct {
	Site     string
	Assignee string // also those that are for whoever looks after the site
	Level    int
	Supplier string
	After    string // start after this place
	Limit    int
}

// OpenAction is an action that is still to be done, with its incident's
// reference.
type OpenAction struct {
	Incident string
	Site     string
	Summary  string
	Action
}

// Place is where an action stands in the list of those that are still to be done.
func (o OpenAction) Place() string {
	return fmt.Sprintf("%d/%d/%d", o.Due.UnixMilli(), numberOf(o.Incident), o.ID)
}

// numberOf returns the number in a reference.
func numberOf(ref string) (n int64) {
	_, digits, _ := strings.Cut(ref, "-")
	n, _ = strconv.ParseInt(digits, 10, 64) // references are ours
	return n
}

// OpenActions returns the actions that the actor may see and that are still to be
// done.
func (d *Desk) OpenActions(ctx context.Context, q ActionQuery, actor Actor) ([]OpenAction, error) {
	if !actor.narrow(&q.Site, &q.Level, &q.Supplier) {
		return nil, nil
	}
	return d.store.OpenActions(ctx, q)
}

// Questions returns the questionnaire that an action of an incident keeps to, and
// the next question of it; both nil when it asks none.
func (d *Desk) Questions(ctx context.Context, inc *Incident, action int) (*Questionnaire, *Question, error) {
	a := inc.Action(action)
	if a == nil {
		return nil, nil, ErrNotFound
	}
	if a.Questionnaire == "" {
		return nil, nil, nil
	}
	book, err := d.readBook(ctx)
	if err != nil {
		return nil, nil, err
	}
	q := book.questionnaire(a.Questionnaire)
	if q == nil {
		return nil, nil, fmt.Errorf("the questionnaire %s is not here", a.Questionnaire)
	}
	return q, q.next(a.Given), nil
}

// OpenedQuery selects the incidents that were opened in [From, To).
type OpenedQuery struct {
	From, To time.Time
	Site     string
	Level    int
	Supplier string
}

// Verdict is what people made of the incidents of a rule.
type Verdict struct {
	Rule           string
	Judged         int // ended by a person
	FalsePositives int
}

// Share is the share of false positives; 0 when nobody has judged.
func (v Verdict) Share() float64 {
	if v.Judged == 0 {
		return 0
	}
	return float64(v.FalsePositives) / float64(v.Judged)
}

// verdictsOver is how far back rules are judged.
const verdictsOver = 90 * 24 * time.Hour

// Verdicts returns what people made of each rule's incidents in the last 90 days.
func (d *Desk) Verdicts(ctx context.Context, at time.Time) (map[string]Verdict, error) {
	list, err := d.store.Verdicts(ctx, at.Add(-verdictsOver))
	out := make(map[string]Verdict, len(list))
	for _, v := range list {
		out[v.Rule] = v
	}
	return out, err
}
