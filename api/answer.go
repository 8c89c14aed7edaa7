package api

import (
	"context"
	"errors"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Links holds the links by which people approve and rate without signing in.
type Links interface {
	Link(ctx context.Context, secret string) (incidents.Link, error)
	// UseLink uses a link up together with what do does; ErrNotFound: it was used.
	UseLink(ctx context.Context, secret string, at time.Time, do func(ctx context.Context) error) error
}

// answerWords are what the page says, by language.
type answerWords struct {
	Lang, Title, Done, Approve, Reject, Points, Text, Why, Thanks, Gone, Rate string
}

var answers = map[string]answerWords{
	"en": {"en", "Is it well again?", "What was done", "Yes, close it", "No, it is not", "How well was it done? 1 (bad) to 5 (good)", "Anything else?",
		"What is still wrong?", "Thank you. Your answer is with the desk.", "This link has been used, or is too old.", "Send"},
	"fr": {"fr", "Tout est-il rentré dans l’ordre ?", "Ce qui a été fait", "Oui, clôturer", "Non, pas encore", "Quelle note donnez-vous ? 1 (mauvais) à 5 (bon)", "Autre chose ?",
		"Qu’est-ce qui ne va toujours pas ?", "Merci. Votre réponse est transmise.", "Ce lien a déjà servi, ou est trop ancien.", "Envoyer"},
	"ro": {"ro", "Este totul în regulă?", "Ce s-a făcut", "Da, închideți", "Nu, încă nu", "Cât de bine a fost rezolvat? 1 (slab) până la 5 (bine)", "Altceva?",
		"Ce nu este încă în regulă?", "Mulțumim. Răspunsul a fost transmis.", "Acest link a fost folosit sau este prea vechi.", "Trimite"},
}

// PathAnswer begins the path of a link; tenant and secret follow.
const PathAnswer = "/answer/"

// answering adds the page that a link leads to.
func (a *app) answering(f *fiber.App) {
	if a.Links != nil {
		f.Get(PathAnswer+":tenant/:secret", a.answerPage)
		f.Post(PathAnswer+":tenant/:secret", a.takeAnswer)
	}
}

// answerView is what the page shows.
type answerView struct {
	Words    answerWords
	Incident *incidents.Incident // nil: there is nothing to answer
	Says     string
	Resolved bool // it can be approved or rejected, else only rated
}

// linked returns a link that can be used, with its incident; nil when there is none.
func (a *app) linked(c *fiber.Ctx) (*incidents.Link, *incidents.Incident, error) {
	link, err := a.Links.Link(c.UserContext(), c.Params("secret"))
	if errors.Is(err, incidents.ErrNotFound) || err == nil && (!link.Lives(a.Now()) || c.Params("tenant") != a.Tenant) {
		return &link, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	inc, err := a.Desk.Get(c.UserContext(), link.Ref, incidents.Actor{Source: incidents.ByLink})
	if err != nil {
		return nil, nil, err
	}
	answerable := inc.State == incidents.Resolved || inc.State == incidents.Closed && inc.Satisfaction.Points == 0
	if !answerable || link.Name == inc.Resolution.By {
		return &link, nil, nil
	}
	return &link, &inc, nil
}

// answerPage shows what was done, and asks. Looking does not use the link up: mail
// programs look too.
func (a *app) answerPage(c *fiber.Ctx) error {
	link, inc, err := a.linked(c)
	if err != nil {
		return err
	}
	return a.showAnswer(c, link, inc, "")
}

func (a *app) showAnswer(c *fiber.Ctx, link *incidents.Link, inc *incidents.Incident, says string) error {
	view := answerView{Words: wordsOf(link.Language), Incident: inc, Says: says}
	if inc != nil {
		view.Resolved = inc.State == incidents.Resolved
	} else if says == "" {
		view.Says = view.Words.Gone
		c.Status(fiber.StatusNotFound)
	}
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set("X-Robots-Tag", "noindex")
	return answerTemplate.Execute(c, view)
}

func wordsOf(language string) answerWords {
	if w, ok := answers[language]; ok {
		return w
	}
	return answers["en"]
}

// takeAnswer does what the button says, and uses the link up.
func (a *app) takeAnswer(c *fiber.Ctx) error {
	link, inc, err := a.linked(c)
	if err != nil || inc == nil {
		return errors.Join(err, a.showAnswer(c, link, nil, ""))
	}
	req := answerOf(c, inc)
	actor := link.Actor(*inc, requestOf(c))
	err = a.Links.UseLink(c.UserContext(), c.Params("secret"), a.Now(), func(ctx context.Context) error {
		_, err := a.Desk.Transition(ctx, link.Ref, req, actor, a.Now())
		return err
	})
	who := incidents.Token{ID: "link", Name: link.Name, Role: incidents.SiteManager, Site: inc.Site, Tenant: a.Tenant}
	var invalid *incidents.InvalidError
	switch {
	case err == nil:
		a.recordCall(c, fiber.MethodPost, PathAnswer, who, fiber.StatusOK)
		return a.showAnswer(c, link, nil, wordsOf(link.Language).Thanks)
	case errors.Is(err, incidents.ErrNotFound):
		return a.showAnswer(c, link, nil, "")
	case errors.As(err, &invalid):
		a.recordCall(c, fiber.MethodPost, PathAnswer, who, fiber.StatusUnprocessableEntity)
		return a.showAnswer(c.Status(fiber.StatusUnprocessableEntity), link, inc, wordsOf(link.Language).Why)
	}
	return a.problemOf(c.UserContext(), err)
}

// answerOf reads the form.
func answerOf(c *fiber.Ctx, inc *incidents.Incident) incidents.Request {
	points, _ := strconv.Atoi(c.FormValue("points"))
	text := strings.TrimSpace(c.FormValue("text"))
	switch {
	case inc.State == incidents.Closed:
		return incidents.Request{Transition: incidents.Rate, Points: points, Text: text}
	case c.FormValue("answer") == "approve":
		return incidents.Request{Transition: incidents.Approve, Points: points, Text: text}
	}
	return incidents.Request{Transition: incidents.Reject, Reason: text}
}

var answerTemplate = template.Must(template.New("answer").Parse(`<!doctype html><html lang="{{.Words.Lang}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Words.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:8vh auto;padding:0 1rem;color-scheme:light dark}
button,textarea{font:inherit;padding:.6rem 1rem;box-sizing:border-box}textarea{width:100%}button{margin:.5rem .5rem 0 0}blockquote{white-space:pre-wrap;margin:0;padding-left:1rem;border-left:3px solid}</style>
{{if not .Incident}}<p role="status">{{.Says}}</p>{{else}}<h1>{{.Words.Title}}</h1>
<p><b>{{.Incident.Ref}}</b>: {{.Incident.Summary}}</p>
{{with .Incident.Resolution.Summary}}<p>{{$.Words.Done}}:</p><blockquote>{{.}}</blockquote>{{end}}
{{with .Says}}<p role="alert"><b>{{.}}</b></p>{{end}}
<form method="post"><fieldset><legend>{{.Words.Points}}</legend>{{range $n := .Points}}<label><input type="radio" name="points" value="{{$n}}"> {{$n}}</label> {{end}}</fieldset>
<p><label>{{.Words.Text}}<textarea name="text" rows="3" maxlength="5000"></textarea></label></p>
{{if .Resolved}}<button name="answer" value="approve">{{.Words.Approve}}</button><button name="answer" value="reject">{{.Words.Reject}}</button>
{{else}}<button name="answer" value="rate">{{.Words.Rate}}</button>{{end}}</form>{{end}}</html>`))

// Points are the marks that can be given.
func (answerView) Points() []int { return []int{1, 2, 3, 4, 5} }
