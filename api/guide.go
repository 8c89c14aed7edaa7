package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

// Guide is what helps with an incident.
type Guide struct {
	Category      string        `json:"category"`
	About         string        `json:"about,omitempty"`
	Team          string        `json:"team,omitempty" doc:"Who looks after it"`
	Questionnaire *QuestionList `json:"questionnaire,omitempty" doc:"What is asked first; the incident is escalated when it is done"`
	Articles      []Found       `json:"articles" doc:"What is worth reading"`
	KnownErrors   []Found       `json:"known_errors"`
	Solved        Solved        `json:"solved_before"`
}

// QuestionList is a questionnaire in one language.
type QuestionList struct {
	Questionnaire string         `json:"questionnaire" doc:"Its id and version"`
	Name          string         `json:"name"`
	Done          bool           `json:"done" doc:"It was answered to its end"`
	Next          string         `json:"next,omitempty" doc:"The question to be answered now"`
	Questions     []QuestionView `json:"questions"`
	Given         []GivenView    `json:"given,omitempty" doc:"The answers so far"`
}

// QuestionView is a question in one language.
type QuestionView struct {
	ID      string       `json:"id"`
	Kind    string       `json:"kind" enum:"choice,number,text,photo"`
	Text    string       `json:"text"`
	Answers []AnswerView `json:"answers,omitempty"`
}

// AnswerView is an answer in one language, with what follows from it.
type AnswerView struct {
	ID      string                `json:"id"`
	Text    string                `json:"text,omitempty"`
	Min     *float64              `json:"min,omitempty"`
	Max     *float64              `json:"max,omitempty"`
	Hint    string                `json:"hint,omitempty" doc:"What to do now"`
	Next    string                `json:"next,omitempty" doc:"The next question; the following one when left out; end for none"`
	Outcome incidents.Consequence `json:"outcome,omitzero"`
}

// GivenView is an answer that somebody gave.
type GivenView struct {
	Question string    `json:"question"`
	Value    string    `json:"value"`
	Until    time.Time `json:"until,omitzero"`
	Hint     string    `json:"hint,omitempty"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// Solved are incidents that people have solved, the newest first.
type Solved struct {
	Device []Found `json:"device" doc:"On this device"`
	Site   []Found `json:"site" doc:"Of this category at this site"`
	Others []Found `json:"others" doc:"Of this category elsewhere"`
}

// Found is something that helps.
type Found struct {
	Kind  string    `json:"kind" enum:"article,known_error,incident"`
	Ref   string    `json:"ref" doc:"Of an incident or a problem, or an article's id"`
	Title string    `json:"title"`
	Text  string    `json:"text,omitempty" doc:"How it was solved, or how the article begins"`
	Site  string    `json:"site,omitempty"`
	At    time.Time `json:"at,omitzero" doc:"Of an incident: when it was resolved"`
	Score float64   `json:"score,omitempty" doc:"Of a search: more is better, within one answer"`
}

func foundView(h incidents.Hit) Found {
	return Found{Kind: h.Kind, Ref: h.Ref, Title: h.Title, Text: h.Text, Site: h.Site, At: h.At, Score: h.Score}
}

func foundViews(list []incidents.Hit) []Found {
	out := make([]Found, len(list))
	for i, h := range list {
		out[i] = foundView(h)
	}
	return out
}

func solvedViews(list []incidents.Incident) []Found {
	out := make([]Found, len(list))
	for i, inc := range list {
		out[i] = Found{Kind: incidents.IncidentHit, Ref: inc.Ref, Title: inc.Summary, Text: inc.Resolution.Summary, Site: inc.Site, At: inc.ResolvedAt}
	}
	return out
}

func questionsView(version string, q *incidents.Questionnaire, language string) *QuestionList {
	out := &QuestionList{Questionnaire: version, Name: q.Name.In(language), Questions: make([]QuestionView, len(q.Questions))}
	for i, x := range q.Questions {
		view := QuestionView{ID: x.ID, Kind: string(x.Kind), Text: x.Text.In(language)}
		for _, a := range x.Answers {
			view.Answers = append(view.Answers, AnswerView{ID: a.ID, Text: a.Text.In(language), Min: a.Min, Max: a.Max,
				Hint: a.Hint.In(language), Next: a.Next, Outcome: a.Outcome})
		}
		out.Questions[i] = view
	}
	return out
}

// Language asks for the texts in a language.
type Language struct {
	Language string `query:"language" enum:"en,fr,ro" default:"en"`
}

type guideIn struct {
	IncidentPath
	Language
}

type guideOut struct{ Body Guide }

func (a *app) getGuide(ctx context.Context, in *guideIn) (*guideOut, error) {
	g, err := a.Desk.Guide(ctx, in.Ref, in.Language.Language, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	out := Guide{Category: g.Category.ID, About: g.Category.About, Team: g.Category.Team, Articles: foundViews(g.Articles), KnownErrors: foundViews(g.KnownErrors),
		Solved: Solved{Device: solvedViews(g.Device), Site: solvedViews(g.Site), Others: solvedViews(g.Others)}}
	if g.Questionnaire != nil {
		out.Questionnaire = questionsView(g.Version, g.Questionnaire, in.Language.Language)
		out.Questionnaire.Done = g.Done
	}
	return &guideOut{out}, nil
}

// ActionPath names an action in a path.
type ActionPath struct {
	IncidentPath
	Action int `path:"action" minimum:"1" maximum:"10000"`
}

// ActionView is an action with the questions that it asks.
type ActionView struct {
	Incident  string        `json:"incident"`
	Summary   string        `json:"summary,omitempty" doc:"Of the incident"`
	Site      string        `json:"site,omitempty"`
	ID        int           `json:"id" doc:"Within the incident"`
	Text      string        `json:"text"`
	Assignee  string        `json:"assignee,omitempty" doc:"Whoever looks after the site when it is missing"`
	AskedBy   string        `json:"asked_by"`
	AskedAt   time.Time     `json:"asked_at"`
	Due       time.Time     `json:"due"`
	Reminders int           `json:"reminders,omitempty"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`
	How       string        `json:"how,omitempty" enum:"done,withdrawn,expired"`
	Answer    string        `json:"answer,omitempty"`
	Questions *QuestionList `json:"questions,omitempty"`
}

func actionView(incident, summary, site string, x incidents.Action) ActionView {
	return ActionView{Incident: incident, Summary: summary, Site: site, ID: x.ID, Text: x.Text, Assignee: x.Assignee, AskedBy: x.AskedBy,
		AskedAt: x.AskedAt, Due: x.Due, Reminders: x.Reminders, EndedAt: x.Ended, How: x.How, Answer: x.Answer}
}

type actionIn struct {
	ActionPath
	Language
}

type actionOut struct {
	ETag string `header:"ETag"`
	Body ActionView
}

func (a *app) getAction(ctx context.Context, in *actionIn) (*actionOut, error) {
	inc, err := a.Desk.Get(ctx, in.Ref, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	return a.actionAnswer(ctx, &inc, in.Action, in.Language.Language)
}

func (a *app) actionAnswer(ctx context.Context, inc *incidents.Incident, id int, language string) (*actionOut, error) {
	q, next, err := a.Desk.Questions(ctx, inc, id)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("action", fmt.Sprint(id))
	}
	if err != nil {
		return nil, err
	}
	x := inc.Action(id)
	view := actionView(inc.Ref, inc.Summary, inc.Site, *x)
	if q != nil {
		view.Questions = questionsView(x.Questionnaire, q, language)
		if view.Questions.Done = next == nil; next != nil {
			view.Questions.Next = next.ID
		}
		for _, g := range x.Given {
			view.Questions.Given = append(view.Questions.Given, GivenView(g))
		}
	}
	return &actionOut{etag(inc.Version), view}, nil
}

// GivenAnswer answers one question.
type GivenAnswer struct {
	Question string    `json:"question" minLength:"1" maxLength:"64"`
	Value    string    `json:"value" minLength:"1" maxLength:"20000" doc:"The answer's id, a number, a text, or what the photo is called"`
	Until    time.Time `json:"until,omitzero" doc:"Of an answer that mutes: until when"`
}

type answersIn struct {
	ActionPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for; any version when left out"`
	Language
	Body struct {
		Answers []GivenAnswer `json:"answers,omitempty" maxItems:"50" doc:"To the questions, in their order; some may follow later"`
		Text    string        `json:"text,omitempty" maxLength:"20000" doc:"What was found or done, when no questions are asked"`
	}
}

// postAnswers is the transition answer by another name, with the next question in
// its answer.
func (a *app) postAnswers(ctx context.Context, in *answersIn) (*actionOut, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	req := incidents.Request{Transition: incidents.Reply, Version: version, Action: in.Action, Text: in.Body.Text, Answers: givenOf(in.Body.Answers)}
	inc, err := a.Desk.Transition(ctx, in.Ref, req, actorOf(ctx), a.Now())
	if err != nil {
		return nil, in.missing(err)
	}
	return a.actionAnswer(ctx, &inc, in.Action, in.Language.Language)
}

func givenOf(list []GivenAnswer) (out []incidents.Given) {
	for _, g := range list {
		out = append(out, incidents.Given{Question: g.Question, Value: g.Value, Until: g.Until})
	}
	return out
}

type actionsIn struct {
	Site     string `query:"site" maxLength:"128"`
	Assignee string `query:"assignee" maxLength:"128" doc:"For this person, or for whoever looks after the site"`
	Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor   string `query:"cursor" maxLength:"512"`
}

func (a *app) listActions(ctx context.Context, in *actionsIn) (*listOut[ActionView], error) {
	after, err := fromCursor("action", in.Cursor)
	if err != nil {
		return nil, err
	}
	list, err := a.Desk.OpenActions(ctx, incidents.ActionQuery{Site: in.Site, Assignee: in.Assignee, After: after, Limit: in.Limit + 1}, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.Limit, "action", incidents.OpenAction.Place)
	views := make([]ActionView, len(list))
	for i, o := range list {
		views[i] = actionView(o.Incident, o.Summary, o.Site, o.Action)
	}
	return listed(views, next), nil
}

type searchIn struct {
	Q     string `query:"q" required:"true" minLength:"1" maxLength:"400" doc:"Words; accents and case don't matter, and a word finds those that begin with it"`
	Kind  string `query:"kind" enum:"article,known_error,incident"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Language
}

func (a *app) search(ctx context.Context, in *searchIn) (*listOut[Found], error) {
	hits, err := a.Desk.Search(ctx, incidents.SearchQuery{Q: in.Q, Kind: in.Kind, Limit: in.Limit}, in.Language.Language, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	return listed(foundViews(hits), ""), nil
}
