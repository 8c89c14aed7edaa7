package incidents

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Questionnaire is what is asked of people at a site, question by question. A
// change makes another version; an action keeps the one that it began with.
type Questionnaire struct {
	ID        string     `json:"id,omitempty" maxLength:"128"`
	Name      Text       `json:"name" doc:"By language: en, fr, ro"`
	Questions []Question `json:"questions" minItems:"1" maxItems:"50" doc:"In the order in which they are asked"`
}

// QuestionKind says what an answer looks like.
type QuestionKind string

// The kinds of questions.
const (
	ChoiceQuestion QuestionKind = "choice"
	NumberQuestion QuestionKind = "number"
	TextQuestion   QuestionKind = "text"
	PhotoQuestion  QuestionKind = "photo"
)

// Question is one question with the answers that it knows.
type Question struct {
	ID      string         `json:"id" minLength:"1" maxLength:"64"`
	Kind    QuestionKind   `json:"kind" enum:"choice,number,text,photo"`
	Text    Text           `json:"text" doc:"By language"`
	Answers []AnswerChoice `json:"answers,omitempty" maxItems:"50" doc:"choice: one of these; number: the first whose bounds hold it; text, photo: the first, for whatever is said"`
}

// AnswerChoice is an answer and what follows from it.
type AnswerChoice struct {
	ID      string      `json:"id" minLength:"1" maxLength:"64"`
	Text    Text        `json:"text,omitempty" doc:"choice: by language"`
	Min     *float64    `json:"min,omitempty" doc:"number: from"`
	Max     *float64    `json:"max,omitempty" doc:"number: up to"`
	Hint    Text        `json:"hint,omitempty" doc:"What to do now, by language"`
	Next    string      `json:"next,omitempty" maxLength:"64" doc:"The next question, further down; the following one when left out; end for none"`
	Outcome Consequence `json:"outcome,omitzero"`
}

// Consequence is what an answer means for the incident.
type Consequence struct {
	Close    string `json:"close,omitempty" maxLength:"64" doc:"Resolve it with this code, such as site_closed; no more questions"`
	Mute     bool   `json:"mute,omitempty" doc:"Silence what it is about until the date that comes with the answer"`
	Cause    string `json:"cause,omitempty" maxLength:"64" doc:"This is the cause"`
	Escalate bool   `json:"escalate,omitempty" doc:"Pass it to the next level"`
}

// lastQuestion is the next question where there is none.
const lastQuestion = "end"

// Check returns what is wrong with the questionnaire. The next question always
// lies further down, so that there is an end.
func (q *Questionnaire) Check() error {
	var f faults
	f.name("id", q.ID)
	if strings.Contains(q.ID, "@") {
		f.add("id", "holds an @, which stands before the version")
	}
	f.texts("name", q.Name)
	if n := len(q.Questions); n == 0 || n > 50 {
		f.add("questions", "has %d; want 1 to 50", n)
	}
	place := map[string]int{lastQuestion: len(q.Questions)}
	for i := range q.Questions {
		if _, twice := place[q.Questions[i].ID]; twice {
			f.add(fmt.Sprintf("questions[%d].id", i), "%q is there already, or means the end", q.Questions[i].ID)
		}
		place[q.Questions[i].ID] = i
	}
	for i := range q.Questions {
		f.question(fmt.Sprintf("questions[%d]", i), &q.Questions[i], i, place)
	}
	return f.err()
}

func (f *faults) question(field string, q *Question, at int, place map[string]int) {
	f.name(field+".id", q.ID)
	f.texts(field+".text", q.Text)
	if !slices.Contains([]QuestionKind{ChoiceQuestion, NumberQuestion, TextQuestion, PhotoQuestion}, q.Kind) {
		f.add(field+".kind", "no kind %q; want choice, number, text or photo", q.Kind)
	}
	if q.Kind == ChoiceQuestion && len(q.Answers) < 2 {
		f.add(field+".answers", "has %d; a choice needs two", len(q.Answers))
	}
	seen := map[string]bool{}
	for i := range q.Answers {
		a, name := &q.Answers[i], fmt.Sprintf("%s.answers[%d]", field, i)
		f.name(name+".id", a.ID)
		if seen[a.ID] {
			f.add(name+".id", "%q is there already", a.ID)
		}
		seen[a.ID] = true
		if q.Kind == ChoiceQuestion {
			f.texts(name+".text", a.Text)
		}
		if to, ok := place[a.Next]; a.Next != "" && (!ok || to <= at) {
			f.add(name+".next", "%q is no question further down", a.Next)
		}
		f.consequence(name+".outcome", a.Outcome)
	}
}

func (f *faults) consequence(field string, o Consequence) {
	if _, ok := ResolutionCodes[o.Close]; !ok && o.Close != "" {
		f.add(field+".close", "%q is no resolution code; want one of %s", o.Close, strings.Join(slices.Sorted(maps.Keys(ResolutionCodes)), ", "))
	}
	if _, ok := CauseCodes[o.Cause]; !ok && o.Cause != "" {
		f.add(field+".cause", "%q is no cause; want one of %s", o.Cause, strings.Join(slices.Sorted(maps.Keys(CauseCodes)), ", "))
	}
	if o.Close != "" && o.Escalate {
		f.add(field+".escalate", "goes not with close")
	}
}

// Given is an answer that somebody gave.
type Given struct {
	Question string    `json:"question"`
	Value    string    `json:"value"`          // the answer's id, the number, the text, or what the attached photo is called (none for none)
	Until    time.Time `json:"until,omitzero"` // of an answer that mutes
	Hint     string    `json:"hint,omitempty"` // what it told the person
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// question returns a question by its id; the zero Question when there is none.
func (q *Questionnaire) question(id string) Question {
	for i := range q.Questions {
		if q.Questions[i].ID == id {
			return q.Questions[i]
		}
	}
	return Question{}
}

// next returns the question that comes after the given answers; nil at the end.
func (q *Questionnaire) next(given []Given) *Question {
	for i := 0; i < len(q.Questions); {
		k := slices.IndexFunc(given, func(g Given) bool { return g.Question == q.Questions[i].ID })
		if k < 0 {
			return &q.Questions[i]
		}
		a := q.Questions[i].choice(given[k].Value)
		switch {
		case a == nil || a.Next == "" && a.Outcome.Close == "":
			i++
		case a.Next == lastQuestion || a.Outcome.Close != "":
			return nil
		default:
			i = slices.IndexFunc(q.Questions, func(x Question) bool { return x.ID == a.Next })
		}
	}
	return nil
}

// choice returns the answer that a value stands for; nil when the question knows
// none.
func (q *Question) choice(value string) *AnswerChoice {
	n, err := strconv.ParseFloat(value, 64)
	for i := range q.Answers {
		a := &q.Answers[i]
		switch q.Kind {
		case ChoiceQuestion:
			if a.ID == value {
				return a
			}
		case NumberQuestion:
			if err == nil && (a.Min == nil || n >= *a.Min) && (a.Max == nil || n <= *a.Max) {
				return a
			}
		default:
			return a
		}
	}
	return nil
}

// check returns the answer that a value stands for, or says what is wrong with it.
func (q *Question) check(f *faults, field string, g Given, at time.Time) *AnswerChoice {
	a := q.choice(g.Value)
	n, err := strconv.ParseFloat(g.Value, 64)
	switch {
	case strings.TrimSpace(g.Value) == "":
		f.add(field+".value", "is missing")
	case len(g.Value) > MaxText:
		f.text(field+".value", g.Value)
	case q.Kind == ChoiceQuestion && a == nil:
		f.add(field+".value", "%q is no answer; want one of %s", g.Value, strings.Join(q.ids(), ", "))
	case q.Kind == NumberQuestion && (err != nil || n != n || n-n != 0):
		f.add(field+".value", "%q is no number", g.Value)
	case q.Kind == NumberQuestion && a == nil && len(q.Answers) > 0:
		f.add(field+".value", "%s is beyond what can be", g.Value)
	}
	f.year(field+".until", g.Until)
	if a != nil && a.Outcome.Mute && !g.Until.After(at) {
		f.add(field+".until", "is missing or in the past; want until when")
	}
	return a
}

func (q *Question) ids() []string {
	out := make([]string, len(q.Answers))
	for i := range q.Answers {
		out[i] = q.Answers[i].ID
	}
	return out
}

// shippedQuestionnaires are those that belfry brings, read once.
var shippedQuestionnaires = sync.OnceValue(func() *Book {
	b := &Book{questionnaires: map[string]*Questionnaire{}, asks: map[string]string{}}
	if err := b.readQuestionnaires(defaults); err != nil {
		panic(err) // a test reads them
	}
	return b
})

func (b *Book) addQuestionnaires(documents []Document) error {
	b.questionnaires, b.asks = maps.Clone(shippedQuestionnaires().questionnaires), maps.Clone(shippedQuestionnaires().asks)
	return b.readQuestionnaires(documents)
}

func (b *Book) readQuestionnaires(documents []Document) error {
	for i := range documents {
		d := &documents[i]
		if d.Kind != QuestionnaireDocument {
			continue
		}
		q := &Questionnaire{}
		if err := json.Unmarshal(d.Data, q); err != nil {
			return fmt.Errorf("read questionnaire %s: %w", d.ID, err)
		}
		ref := versioned(d.ID, d.Version)
		b.questionnaires[ref] = q
		if b.asks[d.ID] = ref; d.Retired {
			delete(b.asks, d.ID)
		}
	}
	return nil
}

// questionnaire returns a version of a questionnaire; nil when there is none.
func (b *Book) questionnaire(ref string) *Questionnaire {
	if b == nil {
		return nil
	}
	return b.questionnaires[ref]
}

// asksFirst returns the version of the questionnaire that incidents of a category
// begin with; "" when there is none.
func (b *Book) asksFirst(category string) string {
	if b == nil {
		return ""
	}
	return b.asks[b.category(category).Questionnaire]
}
