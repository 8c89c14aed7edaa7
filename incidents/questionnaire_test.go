package incidents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// TestEveryDefaultIsWhole checks what a new tenant has: every document is right in
// itself, every text is there in every language, every question can be reached, and
// whatever is answered, there is an end.
func TestEveryDefaultIsWhole(t *testing.T) {
	b := shipped()
	for i := range defaults {
		if err := checkDocument(nil, defaults[i]); err != nil {
			t.Errorf("%s %s: %v", defaults[i].Kind, defaults[i].ID, err)
		}
	}
	for _, id := range []string{"suspected_offline", "in_out_discrepancy", "never_seen", "powered_not_counting", "data_gap", "clock_skew",
		"feed_outage", "rule_health", "user_report/counting", "user_report/device", "user_report/information", "user_report/other"} {
		c := b.categories[id]
		if c == nil || c.Impact == "" && c.Urgency == "" || c.Team == "" || c.Class == "" {
			t.Errorf("the category %s is %+v", id, c)
		}
	}
	for ref, q := range b.questionnaires {
		inEveryLanguage(t, ref+" name", q.Name)
		reached := map[string]bool{}
		answerAll(t, q, nil, reached)
		for _, x := range q.Questions {
			inEveryLanguage(t, ref+" "+x.ID, x.Text)
			if !reached[x.ID] {
				t.Errorf("%s: nothing leads to %s", ref, x.ID)
			}
			for _, a := range x.Answers {
				if len(a.Text)+len(a.Hint) > 0 && x.Kind == ChoiceQuestion {
					inEveryLanguage(t, ref+" "+x.ID+" "+a.ID, a.Text)
				}
				if len(a.Hint) > 0 {
					inEveryLanguage(t, ref+" "+x.ID+" hint", a.Hint)
				}
			}
		}
	}
	if first := b.questionnaires[b.asksFirst("suspected_offline")].Questions[0]; first.ID != "site" {
		t.Errorf("the first question for an offline device is %q; want whether the site is closed", first.ID)
	}
}

func inEveryLanguage(t *testing.T, what string, text Text) {
	t.Helper()
	for _, l := range Languages {
		if strings.TrimSpace(text[l]) == "" {
			t.Errorf("%s has no text in %s", what, l)
		}
	}
}

// answerAll answers in every way there is.
func answerAll(t *testing.T, q *Questionnaire, given []Given, reached map[string]bool) {
	x := q.next(given)
	if x == nil {
		return
	}
	if len(given) > len(q.Questions) {
		t.Fatalf("%s has no end", q.ID)
	}
	reached[x.ID] = true
	values := x.ids()
	if x.Kind != ChoiceQuestion {
		values = []string{"1", "100"}
	}
	for _, v := range values {
		answerAll(t, q, append(slices.Clip(given), Given{Question: x.ID, Value: v}), reached)
	}
}

// asked returns a desk with an incident of an offline device that ana has taken
// and asked carl about.
func askedDesk(t *testing.T) (*Desk, *memory) {
	t.Helper()
	store := newMemory()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	does(t, d, "INC-000001", Request{Transition: Take}, ana, noon)
	does(t, d, "INC-000001", Request{Transition: Ask, Actions: []NewAction{{Due: noon.Add(24 * time.Hour), Language: "fr"}}}, ana, noon)
	return d, store
}

func does(t *testing.T, d *Desk, ref string, req Request, actor Actor, at time.Time) Incident {
	t.Helper()
	return must[Incident](t)(d.Transition(context.Background(), ref, req, actor, at))
}

// says writes answers: "site=open lights=dark".
func says(text string) (out []Given) {
	for _, part := range strings.Fields(text) {
		question, value, _ := strings.Cut(part, "=")
		out = append(out, Given{Question: question, Value: value})
	}
	return out
}

func TestAnswersDoWhatTheySay(t *testing.T) {
	until := noon.Add(30 * 24 * time.Hour)
	tests := map[string]struct {
		say   string
		until time.Time
		want  string // state, level, cause, resolution code, held by
	}{
		"a closed site ends it":                             {"site=closed", time.Time{}, "resolved 1 site_closed site_closed "},
		"a site that is closed until a date is silent":      {"site=closed_until", until, "in_progress 1 site_closed  silence"},
		"the first answer alone changes nothing":            {"site=open", time.Time{}, "pending 1   "},
		"a fuse that was off is the cause, and it goes on":  {"site=open lights=dark power=lit_again", time.Time{}, "in_progress 1 power  "},
		"a dark device goes to the second line, with photo": {"site=open lights=dark power=still_dark photo=p.jpg", time.Time{}, "in_progress 2 power  "},
		"nothing found goes to the second line":             {"site=open lights=lit cabling=plugged network=unchanged", time.Time{}, "in_progress 2   "},
		"a changed network is told of in words":             {"site=open lights=lit cabling=plugged network=changed what=router", time.Time{}, "in_progress 2 network  "},
		"a loose cable was the cause":                       {"site=open lights=unreachable cabling=loose", time.Time{}, "in_progress 1 cabling  "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, store := askedDesk(t)
			answers := says(tt.say)
			answers[len(answers)-1].Until = tt.until
			inc := does(t, d, "INC-000001", Request{Transition: Reply, Action: 1, Answers: answers}, carl, noon.Add(time.Hour))
			got := fmt.Sprintf("%s %d %s %s %s", inc.State, inc.Level, inc.Cause, inc.Resolution.Code, inc.Held.By)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			replayed, err := Replay(store.events["INC-000001"])
			if err != nil || replayed.State != inc.State || replayed.Version != store.rows["INC-000001"].Version {
				t.Errorf("replayed: %v, %v", replayed.State, err)
			}
		})
	}
}

func TestWhatIsSilentUntilADateStaysSilentThoughItFiresAnew(t *testing.T) {
	d, store := askedDesk(t)
	answers := says("site=closed_until")
	answers[0].Until = noon.Add(10 * 24 * time.Hour)
	does(t, d, "INC-000001", Request{Transition: Reply, Action: 1, Answers: answers}, carl, noon.Add(time.Hour))
	does(t, d, "INC-000001", forced("the shop is shut"), ana, noon.Add(2*time.Hour))
	receive(t, d, "cf", noon.Add(72*time.Hour))
	if inc := store.rows["INC-000002"]; inc.Held.By != bySilence || inc.State != New || len(inc.Clocks) > 0 {
		t.Errorf("got %+v", inc)
	}
	if _, err := d.Tick(context.Background(), noon.Add(11*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if inc := store.rows["INC-000002"]; inc.Held.By != "" || len(inc.Clocks) == 0 {
		t.Errorf("after the date it is still held by %q", inc.Held.By)
	}
}

func TestWrongAnswersAreRefusedInWords(t *testing.T) {
	tests := map[string]struct {
		req  Request
		want string
	}{
		"no answers":                     {Request{Text: "all well"}, "the next question is site"},
		"another question":               {Request{Answers: says("lights=lit")}, `is "lights"; the next one is site`},
		"an answer that there is not":    {Request{Answers: says("site=maybe")}, `"maybe" is no answer; want one of open, closed, closed_until`},
		"an empty answer":                {Request{Answers: says("site=")}, "answers[0].value: is missing"},
		"silence without a date":         {Request{Answers: says("site=closed_until")}, "answers[0].until: is missing or in the past"},
		"more answers than questions":    {Request{Answers: says("site=closed lights=lit")}, "the answers before it end here"},
		"one right and one wrong answer": {Request{Answers: says("site=open lights=green")}, `answers[1].value: "green" is no answer`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, store := askedDesk(t)
			before := store.rows["INC-000001"].Version
			tt.req.Transition, tt.req.Action = Reply, 1
			_, err := d.Transition(context.Background(), "INC-000001", tt.req, carl, noon.Add(time.Hour))
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if store.rows["INC-000001"].Version != before {
				t.Error("something was done all the same")
			}
		})
	}
}

func TestAnActionKeepsTheQuestionsThatItBeganWith(t *testing.T) {
	d, _ := askedDesk(t)
	changed := Questionnaire{ID: "offline", Name: Text{"en": "new"}, Questions: []Question{{ID: "other", Kind: TextQuestion, Text: Text{"en": "?"}}}}
	doc := document(QuestionnaireDocument, "offline", changed)
	must[Document](t)(d.PutDocument(context.Background(), doc, Expected{Version: 0}, noon))
	inc := does(t, d, "INC-000001", Request{Transition: Reply, Action: 1, Answers: says("site=open")}, carl, noon.Add(time.Hour))
	if a := inc.Action(1); a.Questionnaire != "offline@0" || len(a.Given) != 1 {
		t.Errorf("got %+v", a)
	}
	does(t, d, "INC-000001", Request{Transition: Withdraw, Action: 1, Reason: "anew"}, ana, noon.Add(time.Hour))
	inc = does(t, d, "INC-000001", Request{Transition: Ask, Actions: []NewAction{{Due: noon.Add(24 * time.Hour)}}}, ana, noon.Add(time.Hour))
	if a := inc.Action(2); a.Questionnaire != "offline@1" || a.Text != "new" {
		t.Errorf("what is asked now: got %+v", a)
	}
}

func TestTheQuestionnaireComesBeforeTheEscalation(t *testing.T) {
	d, _ := askedDesk(t)
	ctx := context.Background()
	does(t, d, "INC-000001", Request{Transition: Reply, Action: 1, Answers: says("site=open lights=lit")}, carl, noon.Add(time.Hour))
	does(t, d, "INC-000001", Request{Transition: Withdraw, Action: 1, Reason: "no more to be had"}, ana, noon.Add(time.Hour))
	_, err := d.Transition(ctx, "INC-000001", Request{Transition: Escalate, Reason: "help"}, ana, noon.Add(2*time.Hour))
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Code != "questionnaire-open" {
		t.Errorf("half of the answers: got %v", err)
	}
	does(t, d, "INC-000001", Request{Transition: Ask, Actions: []NewAction{{Due: noon.Add(24 * time.Hour)}}}, ana, noon.Add(2*time.Hour))
	does(t, d, "INC-000001", Request{Transition: Reply, Action: 2, Answers: says("site=open lights=dark power=lit_again")}, ana, noon.Add(3*time.Hour))
	inc := does(t, d, "INC-000001", Request{Transition: Escalate, Reason: "help"}, ana, noon.Add(4*time.Hour))
	if inc.Level != 2 {
		t.Errorf("all of them: level %d", inc.Level)
	}
}

func TestWhoIsAskedIsRemindedTwiceAndThenItIsOver(t *testing.T) {
	for hours, want := range map[int]string{11: "pending []", 12: "pending [remind]", 23: "pending [remind]",
		24: "in_progress [remind remind expire]", 40: "in_progress [remind remind expire]"} {
		d, store := askedDesk(t)
		if _, err := d.Tick(context.Background(), noon.Add(time.Duration(hours)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		var kinds []Transition
		for _, e := range store.events["INC-000001"] {
			if e.Kind == Remind || e.Kind == Expire {
				kinds = append(kinds, e.Kind)
			}
		}
		if got := fmt.Sprint(store.rows["INC-000001"].State, " ", kinds); got != want {
			t.Errorf("after %d h: got %s, want %s", hours, got, want)
		}
	}
}

func TestAPhotoIsAttachedOrCanNotBeTaken(t *testing.T) {
	ctx := context.Background()
	for value, want := range map[string]string{"p.jpg": "in_progress", "none": "in_progress", "q.jpg": "pending"} {
		d, store := askedDesk(t)
		_, err := d.Transition(ctx, "INC-000001", Request{Transition: Reply, Action: 1, Answers: says("site=open lights=dark power=still_dark photo=" + value)}, carl, noon)
		if got := store.rows["INC-000001"].State; string(got) != want || (err == nil) != (want == "in_progress") {
			t.Errorf("photo %s: got %s, %v; want %s", value, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), `answers[3].value: no "q.jpg" is attached to INC-000001; attach it first, or answer none`) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCategoriesInheritAndChoose(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	put := func(doc Document, want Expected) error {
		_, err := d.PutDocument(ctx, doc, want, noon)
		return err
	}
	if err := put(document(CategoryDocument, "lift", Category{ID: "lift", Team: "lifts", Impact: ImpactClient, Urgency: UrgencyHigh, Class: "gold"}), Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	if err := put(document(CategoryDocument, "lift/door", Category{ID: "lift/door", Urgency: UrgencyLow}), Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	if err := put(document(AgreementDocument, "gold", Agreement{ID: "gold", Kind: SLA, Calendar: "24x7", Class: "gold", Targets: map[int]Targets{3: {Respond: 7, Resolve: 70}}}), Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	inc := must[Incident](t)(d.Report(ctx, NewReport{Summary: "stuck", Category: "lift/door", Site: "paris"}, ana, noon))
	if inc.Team != "lifts" || inc.Impact != ImpactClient || inc.Urgency != UrgencyLow || inc.Priority != 3 || inc.Clocks[0].Target != 7 {
		t.Errorf("got team %q, %s, %s, P%d, clocks %+v", inc.Team, inc.Impact, inc.Urgency, inc.Priority, inc.Clocks)
	}
	for name, tt := range map[string]struct {
		doc  Document
		want string
	}{
		"a category with a questionnaire that is not there": {document(CategoryDocument, "x", Category{ID: "x", Questionnaire: "none"}), `there is no questionnaire "none"`},
		"a category with an article that is not there":      {document(CategoryDocument, "x", Category{ID: "x", Articles: []string{"none"}}), `there is no article "none"`},
		"a category whose id is no path":                    {document(CategoryDocument, "/x", Category{ID: "/x"}), "is no path"},
		"a questionnaire that goes back":                    {document(QuestionnaireDocument, "x", Questionnaire{ID: "x", Name: Text{"en": "x"}, Questions: []Question{{ID: "a", Kind: ChoiceQuestion, Text: Text{"en": "?"}, Answers: []AnswerChoice{{ID: "y", Text: Text{"en": "y"}, Next: "a"}, {ID: "n", Text: Text{"en": "n"}}}}}}), "is no question further down"},
		"an article without a text":                         {document(ArticleDocument, "x", Article{ID: "x", Title: Text{"en": "x"}}), "body: is missing"},
	} {
		if err := put(tt.doc, Expected{New: true}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	var conflict *ConflictError
	err := put(Document{Kind: QuestionnaireDocument, ID: "offline", Retired: true}, Expected{Version: 0})
	if !errors.As(err, &conflict) {
		t.Errorf("a questionnaire in use was retired: %v", err)
	}
	matrix := PriorityMatrix{ID: matrixID, Priorities: Matrix{}}
	if err := put(document(MatrixDocument, matrixID, matrix), Expected{Version: 0}); err == nil {
		t.Error("a matrix with holes was taken")
	}
	for impact, row := range DefaultMatrix {
		matrix.Priorities[impact] = map[Urgency]int{}
		for urgency := range row {
			matrix.Priorities[impact][urgency] = 1
		}
	}
	if err := put(document(MatrixDocument, matrixID, matrix), Expected{Version: 0}); err != nil {
		t.Fatal(err)
	}
	receive(t, d, "f", noon.Add(time.Hour))
	if inc := store.rows["INC-000002"]; inc.Priority != 1 {
		t.Errorf("by the new matrix its priority is %d", inc.Priority)
	}
}

func TestARuleWithoutImpactTakesItsCategorys(t *testing.T) {
	store := newMemory()
	d := NewDesk(store, Config{}, nil, nil)
	f := finding(telemetry.Firing, noon)
	f.Impact, f.Urgency, f.Category = "", "", "feed_outage"
	if err := d.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
		t.Fatal(err)
	}
	if inc := store.rows["INC-000001"]; inc.Impact != ImpactSite || inc.Urgency != UrgencyHigh || inc.Priority != 2 || inc.Team != "second line" {
		t.Errorf("got %s, %s, P%d, %q", inc.Impact, inc.Urgency, inc.Priority, inc.Team)
	}
}
