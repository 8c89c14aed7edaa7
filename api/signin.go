package api

import (
	"context"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Sessions holds who is signed in with a browser.
type Sessions interface {
	// CreateSession keeps a session of the token's owner until ExpiresAt.
	CreateSession(ctx context.Context, t incidents.Token, at time.Time) (secret string, err error)
	// Session returns whose it is; ErrNotFound when it or its token has ended.
	Session(ctx context.Context, secret string, at time.Time) (incidents.Token, error)
	EndSession(ctx context.Context, secret string) error
	// Sessions returns who of a tenant is signed in: of a name alone, unless it is "".
	Sessions(ctx context.Context, tenant, name string, at time.Time) ([]incidents.Session, error)
	// EndSessionOf ends one of those; ErrNotFound when there is none of that id.
	EndSessionOf(ctx context.Context, tenant, name, id string) error
}

// sessionLasts is how long a browser stays signed in.
const sessionLasts = 12 * time.Hour

// signing adds the pages of signing in and out.
func (a *app) signing(f *fiber.App) {
	f.Get("/signin", a.signInPage)
	f.Post("/signin", a.signIn)
	f.Post("/signout", a.signOut)
	if a.Provider != nil {
		f.Get("/signin/oidc", a.beginFlow)
		f.Get(pathCallback, a.endFlow)
	}
}

// visitor returns who looks at a page. Without a session it has sent the browser
// to sign in and come back, and ok is false: the handler returns err.
func (a *app) visitor(c *fiber.Ctx) (token incidents.Token, ok bool, err error) {
	token, problem := a.caller(c)
	switch {
	case problem == nil:
		return token, true, nil
	case problem.Status == fiber.StatusUnauthorized && c.Method() == fiber.MethodGet:
		return token, false, c.Redirect("/signin?next="+template.URLQueryEscaper(c.OriginalURL()), fiber.StatusSeeOther)
	}
	return token, false, problem
}

// signInView is what the page shows.
type signInView struct {
	Next, Wrong string
	Name        string // who is signed in already
	Role        incidents.Role
	Provider    bool // there is one to sign in with
}

func (a *app) signInPage(c *fiber.Ctx) error {
	view := signInView{Next: ownPath(c.Query("next"))}
	if token, problem := a.caller(c); problem == nil {
		view.Name, view.Role = token.Name, token.Role
	}
	return a.showSignIn(c, fiber.StatusOK, view)
}

func (a *app) showSignIn(c *fiber.Ctx, status int, view signInView) error {
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	view.Provider = a.Provider != nil
	return signInTemplate.Execute(c.Status(status), view)
}

// signIn begins a session with a token.
func (a *app) signIn(c *fiber.Ctx) error {
	if !sameOrigin(c) {
		return newProblem("forbidden", "this form was not ours")
	}
	next, secret := ownPath(c.FormValue("next")), strings.TrimSpace(c.FormValue("token"))
	token, problem := a.identify(c.UserContext(), credential{text: secret}, requestOf(c))
	if problem == nil && token.Role == incidents.DeviceRole {
		problem = newProblem("forbidden", "a device's token opens no page")
	}
	if problem != nil {
		a.recordSigning(c, incidents.Token{}, problem.Status)
		return a.showSignIn(c, problem.Status, signInView{Next: next, Wrong: problem.Detail})
	}
	return a.welcome(c, token, next)
}

// welcome begins the session of a token's owner and goes on to a page.
func (a *app) welcome(c *fiber.Ctx, token incidents.Token, next string) error {
	if a.Sessions == nil {
		return notHere("sessions")
	}
	ends := a.Now().Add(sessionLasts)
	if token.ExpiresAt.IsZero() || token.ExpiresAt.After(ends) {
		token.ExpiresAt = ends
	}
	if old := c.Cookies(CookieSession); old != "" {
		if err := a.Sessions.EndSession(c.UserContext(), old); err != nil {
			return err
		}
	}
	secret, err := a.Sessions.CreateSession(c.UserContext(), token, a.Now())
	if err != nil {
		return err
	}
	a.setCookie(c, CookieSession, secret, token.ExpiresAt)
	a.recordSigning(c, token, fiber.StatusSeeOther)
	return c.Redirect(next, fiber.StatusSeeOther)
}

// setCookie gives the browser a cookie that no script reads, that other sites'
// forms don't carry, and that goes over TLS alone where there is TLS.
func (a *app) setCookie(c *fiber.Ctx, name, value string, expires time.Time) {
	c.Cookie(&fiber.Cookie{Name: name, Value: value, Path: "/", Expires: expires, HTTPOnly: true,
		SameSite: fiber.CookieSameSiteLaxMode, Secure: strings.HasPrefix(a.address(c), "https:")})
}

// address returns where people reach us, without a path: as it is configured, or
// as the request has it.
func (a *app) address(c *fiber.Ctx) string {
	if a.URL != "" {
		return strings.TrimSuffix(a.URL, "/")
	}
	return c.BaseURL()
}

func (a *app) signOut(c *fiber.Ctx) error {
	if !sameOrigin(c) {
		return newProblem("forbidden", "this form was not ours")
	}
	if secret := c.Cookies(CookieSession); secret != "" && a.Sessions != nil {
		token, _ := a.caller(c)
		if err := a.Sessions.EndSession(c.UserContext(), secret); err != nil {
			return err
		}
		a.recordSigning(c, token, fiber.StatusSeeOther)
	}
	a.setCookie(c, CookieSession, "", time.Unix(1, 0))
	return c.Redirect("/signin", fiber.StatusSeeOther)
}

// ownPath returns a path of ours to go on to; "/" when it is not one. Browsers
// read // and /\ as another host.
func ownPath(next string) string {
	if !strings.HasPrefix(next, "/") || len(next) > 1 && slices.Contains([]byte(`/\`), next[1]) || strings.ContainsFunc(next, func(r rune) bool { return r < ' ' }) {
		return "/"
	}
	return next
}

// recordSigning writes who has signed in or out, or was not let in.
func (a *app) recordSigning(c *fiber.Ctx, token incidents.Token, status int) {
	a.recordCall(c, http.MethodPost, c.Route().Path, token, status)
}

var signInTemplate = template.Must(template.New("signin").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in to belfry</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color-scheme:light dark}
input,button,.button{font:inherit;padding:.5rem .75rem;width:100%;box-sizing:border-box;margin:.25rem 0 1rem}
.wrong{color:light-dark(#a40000,#ff9d9d)}</style>
<h1>belfry</h1>
{{with .Name}}<p>You are signed in as {{.}} ({{$.Role}}). <a href="{{$.Next}}">Go on</a></p>
<form method="post" action="/signout"><button>Sign out</button></form>{{end}}
{{with .Wrong}}<p class="wrong" role="alert">{{.}}.</p>{{end}}
{{if .Provider}}<p><a href="/signin/oidc?next={{.Next}}">Sign in with your organisation's account</a>, or with a token:</p>{{end}}
<form method="post" action="/signin"><input type="hidden" name="next" value="{{.Next}}">
<label>Your token<input name="token" type="password" autocomplete="current-password" required autofocus placeholder="bf_..."></label>
<button>Sign in</button></form>
<p>An administrator makes tokens: <code>belfry tokens create</code>. The first one is in the file <code>admin.token</code> of the data folder.</p></html>`))
