package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// credential is what a caller shows: a token, or the cookie of a session.
type credential struct {
	text   string
	cookie bool
}

// CookieSession is the cookie of who is signed in with a browser.
const CookieSession = "belfry_session"

// shown returns what came with a request. A header goes before a cookie: who
// writes the one means it, and a browser sends the other by itself.
func shown(c *fiber.Ctx) credential {
	if text := c.Get(fiber.HeaderAuthorization); text != "" {
		scheme, token, _ := strings.Cut(text, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return credential{}
		}
		return credential{text: strings.TrimSpace(token)}
	}
	return credential{text: c.Cookies(CookieSession), cookie: true}
}

// caller returns who makes a request, from its token or its session.
func (a *app) caller(c *fiber.Ctx) (incidents.Token, *Problem) {
	token, problem := a.identify(c.UserContext(), shown(c), requestOf(c))
	if problem == nil && shown(c).cookie && !sameOrigin(c) {
		problem = newProblem("forbidden", "another site's page has sent this in your name")
	}
	return token, problem
}

// identify says whose credential that is.
func (a *app) identify(ctx context.Context, cred credential, request string) (incidents.Token, *Problem) {
	if cred.text == "" {
		return incidents.Token{}, newProblem("unauthorized", "neither a bearer token nor a session came with the request")
	}
	token, err := a.look(ctx, cred)
	switch {
	case errors.Is(err, incidents.ErrNotFound), err == nil && token.Tenant != a.Tenant:
		return incidents.Token{}, newProblem("unauthorized", "the token or session is not known, or has expired or been ended")
	case err != nil:
		a.Log.Error("authenticate", "request", request, "error", err)
		return incidents.Token{}, newProblem("unavailable", "tokens can't be checked just now")
	}
	return token, nil
}

func (a *app) look(ctx context.Context, cred credential) (incidents.Token, error) {
	if !cred.cookie && a.Provider != nil && IsJWT(cred.text) {
		return a.vouched(ctx, cred.text)
	}
	if !cred.cookie {
		return a.Tokens.Authenticate(ctx, cred.text, a.Now())
	}
	if a.Sessions == nil {
		return incidents.Token{}, incidents.ErrNotFound
	}
	return a.Sessions.Session(ctx, cred.text, a.Now())
}

var origins = http.NewCrossOriginProtection()

// sameOrigin refuses what a page from elsewhere has a browser send: browsers say
// where a request comes from, and add the cookie all the same.
func sameOrigin(c *fiber.Ctx) bool {
	r := &http.Request{Method: c.Method(), Host: string(c.Request().Host()), Header: http.Header{}}
	for _, name := range []string{"Sec-Fetch-Site", "Origin"} {
		if text := c.Get(name); text != "" {
			r.Header.Set(name, text)
		}
	}
	return origins.Check(r) == nil
}
