package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Answers keeps what was answered to requests that may come again.
type Answers interface {
	// Recall returns what was answered under a key; nil when nothing was.
	Recall(ctx context.Context, key string) (*incidents.Answer, error)
	// Together runs do. What it writes with its context is on disk together with the
	// answer that it returns, or not at all: when it returns none or an error, and
	// with ErrExists when another process has answered meanwhile.
	Together(ctx context.Context, key string, do func(ctx context.Context) (*incidents.Answer, error)) error
}

// Of requests that may come again.
const (
	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
	longestKey     = 130     // with the quotation marks that the header's draft wants
	longestAnswer  = 4 << 20 // a longer one is not kept; that it was given is
)

// keptHeaders are those of an answer that belong to it and not to the moment.
var keptHeaders = []string{fiber.HeaderContentType, fiber.HeaderETag, fiber.HeaderLocation}

// repeatable lets an operation come again: every POST does.
func repeatable(op *huma.Operation) {
	longest, shortest := longestKey, 1
	op.Parameters = append(op.Parameters, &huma.Param{Name: headerKey, In: "header",
		Schema:      &huma.Schema{Type: "string", MinLength: &shortest, MaxLength: &longest},
		Description: "Your own key, such as a UUID: the same request under it is done once, and answered alike for a day"})
	op.Errors = append(op.Errors, http.StatusConflict)
}

// repeat is one request that may come again.
type repeat struct {
	key  string // as the caller has it
	id   string // of key and all that it is scoped to: nobody meets another's
	hash string // of what was asked
}

// repeatOf reads the key of a request; nil when it has none. Tenant, principal,
// role, site, method and route are its scope; address and body are what has to be
// the same.
func repeatOf(c *fiber.Ctx, op *huma.Operation, t incidents.Token) (*repeat, *Problem) {
	key := c.Get(headerKey)
	if key == "" || op.Method != http.MethodPost {
		return nil, nil
	}
	if len(key) > longestKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p := newProblem("invalid", "%s", faultsOf(1))
		p.Errors = []incidents.Fault{{Field: headerKey, Wrong: fmt.Sprintf("want 1 to %d visible characters of ASCII", longestKey)}}
		return nil, p
	}
	key = strings.Trim(key, `"`)
	scope := sha256.Sum256([]byte(strings.Join([]string{t.Tenant, t.Name, string(t.Role), t.Site, t.Supplier, op.Method, op.Path, key}, "\n")))
	asked := sha256.New()
	fmt.Fprintf(asked, "%s\n", c.Request().RequestURI())
	asked.Write(c.Body())
	return &repeat{key: key, id: hex.EncodeToString(scope[:]), hash: hex.EncodeToString(asked.Sum(nil))}, nil
}

// once lets next answer a request, or answers it as it was answered before.
func (a *app) once(ctx context.Context, c *fiber.Ctx, r *repeat, next func(ctx context.Context)) {
	if _, flying := a.flying.LoadOrStore(r.id, true); flying {
		a.refuse(c, newProblem("in-flight", "the same request is being answered just now"))
		return
	}
	defer a.flying.Delete(r.id)
	if a.answered(ctx, c, r) {
		return
	}
	err := a.Answers.Together(ctx, r.id, func(ctx context.Context) (*incidents.Answer, error) {
		next(ctx)
		return r.seal(c, a)
	})
	if errors.Is(err, incidents.ErrExists) && a.answered(ctx, c, r) {
		return // another process was quicker, and nothing of ours remains
	}
	if err != nil {
		a.Log.Error("keep an answer", "request", requestOf(c), "error", err)
		a.refuse(c, newProblem("unavailable", "nothing was done, for it could not be written down; send it again"))
	}
}

// refuse answers with a problem, when there is one.
func (a *app) refuse(c *fiber.Ctx, p *Problem) {
	if p == nil {
		return
	}
	c.Response().ResetBody()
	if err := p.send(c); err != nil {
		a.Log.Error("refuse a request", "request", requestOf(c), "error", err)
	}
}

// answered answers as before, if there was a before, or says why it can't.
func (a *app) answered(ctx context.Context, c *fiber.Ctx, r *repeat) bool {
	known, err := a.Answers.Recall(ctx, r.id)
	if known == nil && err == nil {
		return false
	}
	if err == nil && known.Hash != r.hash {
		a.refuse(c, newProblem("idempotency-key-reused", "this Idempotency-Key came with another request before"))
		return true
	}
	var g given
	if err == nil {
		g, err = r.open(known.Body)
	}
	switch {
	case err != nil:
		a.Log.Error("answer as before", "request", requestOf(c), "error", err)
		a.refuse(c, newProblem("unavailable", "the answer that was given before can't be read just now"))
	case g.TooLong:
		a.refuse(c, newProblem("conflict", "it was done before, and its answer was too long to be kept"))
	default:
		g.send(c)
	}
	return true
}

// given is an answer as it is kept.
type given struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
	TooLong bool              `json:"too_long,omitempty"` // and so not kept
}

// send gives it once more.
func (g given) send(c *fiber.Ctx) {
	for name, text := range g.Headers {
		c.Set(name, text)
	}
	c.Set(headerReplayed, "true")
	c.Status(g.Status).Response().SetBody(g.Body)
}

// seal returns the answer that a request has just had, to be kept; nil when it was
// not done, for a refused request may come again once its cause is gone. It is
// encrypted under the caller's own key, of which we keep no more than a hash: an
// answer may hold a secret that is kept nowhere else.
func (r *repeat) seal(c *fiber.Ctx, a *app) (*incidents.Answer, error) {
	status, body := c.Response().StatusCode(), c.Response().Body()
	if status < 200 || status > 299 {
		return nil, nil
	}
	g := given{Status: status, Headers: map[string]string{}, Body: body, TooLong: len(body) > longestAnswer}
	if g.TooLong {
		g.Body = nil
	}
	for _, name := range keptHeaders {
		if text := string(c.Response().Header.Peek(name)); text != "" {
			g.Headers[name] = text
		}
	}
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	lock, err := r.lock()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, lock.NonceSize())
	_, _ = rand.Read(nonce) // never fails; see crypto/rand
	return &incidents.Answer{Hash: r.hash, Body: lock.Seal(nonce, nonce, text, nil), At: a.Now()}, nil
}

// open reads what seal wrote.
func (r *repeat) open(sealed []byte) (g given, err error) {
	lock, err := r.lock()
	if err != nil {
		return g, err
	}
	if len(sealed) < lock.NonceSize() {
		return g, errors.New("the answer that was kept is cut off")
	}
	text, err := lock.Open(nil, sealed[:lock.NonceSize()], sealed[lock.NonceSize():], nil)
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(text, &g)
}

func (r *repeat) lock() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(r.key), []byte(r.id), "belfry answer", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
