package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
)

// TestEveryPostCanBeRepeated sends the example of each twice under one key, and
// then another body.
func TestEveryPostCanBeRepeated(t *testing.T) {
	h := told(t)
	hook := h.call("admin", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`).json["id"].(string)
	sent := 0
	paths := h.spec().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) { // some change what others are about
		op := paths[path]["post"]
		if op == nil || !strings.Contains(path, "{") && len(op.example()) == 0 {
			continue
		}
		sent++
		real := filled(path, hook)
		body := op.example()
		first := h.call("admin", "POST", real, body, "Idempotency-Key", "every-1")
		again := h.call("admin", "POST", real, body, "Idempotency-Key", "every-1")
		replayed := again.Header.Get(headerReplayed) == "true"
		if first.StatusCode < 300 && (again.text != first.text || again.StatusCode != first.StatusCode || !replayed || again.Header.Get("ETag") != first.Header.Get("ETag")) {
			t.Errorf("POST %s answers %d %s\nthen %d %s (replayed: %v)", real, first.StatusCode, first.text, again.StatusCode, again.text, replayed)
		}
		if first.StatusCode >= 300 && replayed {
			t.Errorf("POST %s repeats a refusal: %d %s", real, again.StatusCode, again.text)
		}
		if first.StatusCode < 300 && body != "" {
			h.call("admin", "POST", real, strings.Replace(body, "{", "{ ", 1), "Idempotency-Key", "every-1").want(t, 422, "/problems/idempotency-key-reused")
		}
	}
	if sent < 10 {
		t.Errorf("only %d operations were tried", sent)
	}
}

func TestAKeyIsOnesOwn(t *testing.T) {
	h := newHouse(t)
	report := `{"summary":"door 2 is dead","site":"paris"}`
	refs := map[string]string{}
	for _, who := range []string{"manager", "first_line", "paris", "admin"} {
		refs[h.call(who, "POST", "/api/v1/incidents", report, "Idempotency-Key", "k").want(t, 201, "INC-").json["ref"].(string)] = who
	}
	if len(refs) != 4 {
		t.Errorf("four principals under one key made %v", refs)
	}
	h.call("manager", "POST", "/api/v1/sites", `{"id":"oslo"}`, "Idempotency-Key", "k").want(t, 201, "oslo") // another route
	other := newHouse(t, func(p *Parts) { p.Answers = store.NewAnswers(h.tickets, h.control); p.Tenant = "other" })
	_, secret, err := other.control.CreateToken(context.Background(), incidents.Token{Name: "manager", Role: incidents.Manager, Tenant: "other"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	other.token["manager"] = secret
	if got := other.call("manager", "POST", "/api/v1/incidents", report, "Idempotency-Key", "k"); got.Header.Get(headerReplayed) != "" {
		t.Errorf("another tenant has the answer: %s", got.text)
	}
	for _, bad := range []string{strings.Repeat("k", longestKey+1), "a b", "é"} {
		h.call("manager", "POST", "/api/v1/incidents", report, "Idempotency-Key", bad).want(t, 422, headerKey)
	}
}

func TestATokensSecretIsAnsweredAgainAndKeptNowhere(t *testing.T) {
	h := newHouse(t)
	made := h.call("admin", "POST", "/api/v1/tokens", `{"name":"tina","role":"noc"}`, "Idempotency-Key", "7f3c").want(t, 201, "bf_")
	secret := made.json["secret"].(string)
	h.call("admin", "POST", "/api/v1/tokens", `{"name":"tina","role":"noc"}`, "Idempotency-Key", "7f3c").want(t, 201, secret)
	r, problem := keyOf(h, "7f3c", incidents.Token{Tenant: "default", Name: "admin", Role: incidents.Admin}, "/api/v1/tokens")
	if problem != nil {
		t.Fatal(problem)
	}
	kept, err := h.parts.Answers.Recall(context.Background(), r)
	if err != nil || kept == nil || strings.Contains(string(kept.Body), secret[12:]) || strings.Contains(string(kept.Body), "tina") {
		t.Errorf("kept %v, %v: it can be read", kept, err)
	}
}

func TestARequestUnderWayIsNotBegunTwiceAndAFaultIsNotRepeated(t *testing.T) {
	begun, release := make(chan bool), make(chan error)
	h := newHouse(t, func(p *Parts) {
		p.CheckRules = func(context.Context, []RuleFile) ([]FileFault, error) { begun <- true; return nil, <-release }
	})
	check := func() answer {
		return h.call("noc", "POST", "/api/v1/rules/check", `{"files":[{"name":"a","text":""}]}`, "Idempotency-Key", "k")
	}
	var group sync.WaitGroup
	var first answer
	group.Go(func() { first = check() })
	<-begun
	if got := check().want(t, 409, "/problems/in-flight"); got.Header.Get("Retry-After") != "1" {
		t.Error("it does not say when to come again")
	}
	release <- errors.New("out of memory")
	group.Wait()
	first.want(t, 500, "")
	group.Go(func() { first = check() })
	<-begun
	release <- nil
	group.Wait()
	first.want(t, 200, "")
	if got := check().want(t, 200, ""); got.Header.Get(headerReplayed) != "true" {
		t.Error("the second time it was done again")
	}
}

// lossy loses the answer after the deed.
type lossy struct{ Answers }

func (l lossy) Together(ctx context.Context, key string, do func(context.Context) (*incidents.Answer, error)) error {
	return l.Answers.Together(ctx, key, func(ctx context.Context) (*incidents.Answer, error) {
		if _, err := do(ctx); err != nil {
			return nil, err
		}
		return nil, errors.New("disk full")
	})
}

func TestWithoutItsAnswerNothingWasDone(t *testing.T) {
	h := newHouse(t)
	h.parts.Answers, h.parts.Registerer = lossy{h.parts.Answers}, nil
	h.app = New(h.parts)
	h.call("manager", "POST", "/api/v1/sites", `{"id":"oslo"}`, "Idempotency-Key", "k").want(t, 503, "nothing was done")
	h.call("manager", "POST", "/api/v1/incidents", `{"summary":"x","site":"rome"}`, "Idempotency-Key", "k").want(t, 503, "nothing was done")
	h.call("admin", "POST", "/api/v1/tokens", `{"name":"tina","role":"noc"}`, "Idempotency-Key", "k").want(t, 503, "nothing was done")
	h.call("manager", "GET", "/api/v1/sites/oslo", "").want(t, 404, "")
	h.call("manager", "GET", "/api/v1/incidents/INC-000003", "").want(t, 404, "")
	if tokens, err := h.control.Tokens(context.Background(), "default"); err != nil || slices.ContainsFunc(tokens, func(k incidents.Token) bool { return k.Name == "tina" }) {
		t.Errorf("the token is there: %v, %v", tokens, err)
	}
}

func TestAnAnswerIsKeptForADay(t *testing.T) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Now = func() time.Time { return now } })
	comment := func(key string) answer {
		return h.call("manager", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"hello"}`, "Idempotency-Key", key)
	}
	comment("k")
	now = now.Add(23 * time.Hour)
	if got := comment("k"); got.Header.Get(headerReplayed) != "true" {
		t.Error("forgotten within a day")
	}
	now = now.Add(2 * time.Hour)
	comment("other") // sweeps
	if got := comment("k"); got.Header.Get(headerReplayed) == "true" {
		t.Error("remembered after a day")
	}
}
