package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Provider vouches for people who sign in elsewhere (OpenID Connect).
type Provider interface {
	// Begin returns where a browser goes, to come back to redirect.
	Begin(redirect, state, nonce, verifier string) (address string, err error)
	// Finish returns who came back with that code.
	Finish(ctx context.Context, redirect, code, nonce, verifier string) (incidents.Token, error)
	// Verify returns who shows a token of the provider; ErrNotFound when it is none.
	Verify(ctx context.Context, text string) (incidents.Token, error)
}

// flow is one attempt to sign in elsewhere. The browser that began it keeps it in
// a cookie: only that one can end it.
type flow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of PKCE: 26 letters twice, for it has to be longer
	Next     string `json:"next"`
}

// Of signing in elsewhere.
const (
	cookieFlow   = "belfry_signin"
	flowLasts    = 10 * time.Minute
	pathCallback = "/signin/callback"
)

// beginFlow sends a browser to the provider.
func (a *app) beginFlow(c *fiber.Ctx) error {
	f := flow{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Next: ownPath(c.Query("next"))}
	address, err := a.Provider.Begin(a.address(c)+pathCallback, f.State, f.Nonce, f.Verifier)
	if err != nil {
		a.Log.Error("begin to sign in elsewhere", "request", requestOf(c), "error", err)
		return a.showSignIn(c, fiber.StatusServiceUnavailable, signInView{Next: f.Next, Wrong: "The provider does not answer just now"})
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	a.setCookie(c, cookieFlow, base64.RawURLEncoding.EncodeToString(text), a.Now().Add(flowLasts))
	return c.Redirect(address, fiber.StatusSeeOther)
}

// endFlow takes up who comes back from the provider.
func (a *app) endFlow(c *fiber.Ctx) error {
	var f flow
	text, _ := base64.RawURLEncoding.DecodeString(c.Cookies(cookieFlow))
	a.setCookie(c, cookieFlow, "", time.Unix(1, 0))
	if json.Unmarshal(text, &f) != nil || f.State == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(c.Query("state"))) != 1 {
		return a.unwelcome(c, f.Next, "This attempt to sign in is not the one that was begun here; try again", nil)
	}
	if why := c.Query("error"); why != "" {
		return a.unwelcome(c, f.Next, "The provider did not let you in ("+why[:min(len(why), 100)]+")", nil)
	}
	token, err := a.Provider.Finish(c.UserContext(), a.address(c)+pathCallback, c.Query("code"), f.Nonce, f.Verifier)
	if err != nil {
		return a.unwelcome(c, f.Next, "You could not be signed in; the log says why under "+requestOf(c), err)
	}
	token.ID = ""
	return a.welcome(c, token, ownPath(f.Next))
}

// unwelcome shows why somebody is not let in.
func (a *app) unwelcome(c *fiber.Ctx, next, why string, err error) error {
	a.Log.Warn("not signed in", "request", requestOf(c), "why", why, "error", err)
	a.recordSigning(c, incidents.Token{}, fiber.StatusForbidden)
	return a.showSignIn(c, fiber.StatusForbidden, signInView{Next: ownPath(next), Wrong: why})
}

// vouched returns who shows a token of the provider.
func (a *app) vouched(ctx context.Context, text string) (incidents.Token, error) {
	token, err := a.Provider.Verify(ctx, text)
	if err != nil {
		return token, err
	}
	hash := sha256.Sum256([]byte(token.Tenant + "\n" + token.Name))
	token.ID = "oidc:" + hex.EncodeToString(hash[:5])
	return token, nil
}

// IsJWT reports whether a bearer token has the form of a provider's: ours have no dots.
func IsJWT(text string) bool { return strings.Count(text, ".") == 2 }
