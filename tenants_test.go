package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"belfry/incidents/store"
)

// as is the program as another token sees it.
func (p *program) as(token string) *program {
	other := *p
	other.token = token
	return &other
}

// TestTenantsLiveApart adds two client companies to a running belfry, gives both a
// device of the same name, and drops one of them.
func TestTenantsLiveApart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := serve(t, data)
	acme := p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "acme")))
	bolt := p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "bolt")))
	if _, errs, code := command(t, nil, "--data", data, "tenants", "add", "acme"); code != 1 || !strings.Contains(errs, "409") {
		t.Errorf("a second acme: exit code %d, %s", code, errs)
	}
	if _, errs, code := command(t, nil, "--data", data, "tenants", "add", "Acme Ltd"); code != 1 || !strings.Contains(errs, "lower-case letter") {
		t.Errorf("a name with a space: exit code %d, %s", code, errs)
	}

	now := time.Now().UTC().Truncate(time.Second)
	for i, who := range []*program{acme, bolt} {
		who.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":"%s","in":%d,"out":0}`, now.Format(time.RFC3339), i+1), nil)
		who.must(http.StatusCreated, "POST", "/api/v1/sites", fmt.Sprintf(`{"id":"shop-%d","zone":"UTC"}`, i+1), nil)
		who.must(http.StatusCreated, "POST", "/api/v1/incidents", fmt.Sprintf(`{"summary":"door %d is broken","site":"shop-%d"}`, i+1, i+1), nil)
	}
	count := func(who *program) string {
		var page struct{ Readings []struct{ In int } }
		status, text := who.request("GET", "/api/v1/devices/door/readings?from="+now.Add(-time.Hour).Format(time.RFC3339)+"&to="+now.Add(time.Hour).Format(time.RFC3339), "")
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(status, page.Readings)
	}
	for i, who := range []*program{acme, bolt} {
		want := fmt.Sprintf("200 [{%d}]", i+1)
		p.await(time.Minute, "the reading of tenant "+fmt.Sprint(i+1), func() bool { return count(who) == want })
		if status, body := who.request("GET", "/api/v1/incidents/INC-000001", ""); status != 200 || !strings.Contains(body, fmt.Sprintf("door %d is broken", i+1)) {
			t.Errorf("tenant %d: got %d %s", i+1, status, body)
		}
	}
	if got := count(p); !strings.HasPrefix(got, "404") {
		t.Errorf("the default tenant sees another's device: %s", got)
	}
	testTheDoorsOfTenants(t, p, acme, bolt)
	if _, text := p.request("GET", "/metrics", ""); !strings.Contains(text, `belfry_ingest_readings_total{kind="count",tenant="acme"} 1`) || !strings.Contains(text, `tenant="default"`) {
		t.Errorf("the metrics don't tell the tenants apart:\n%s", grepLines(text, "belfry_ingest_readings_total"))
	}

	if _, errs, code := command(t, nil, "--data", data, "tenants", "drop", "acme", "--confirm", "yes"); code != 1 || !strings.Contains(errs, "once more") {
		t.Errorf("a drop without the name: exit code %d, %s", code, errs)
	}
	mustCommand(t, "--data", data, "tenants", "drop", "acme", "--confirm", "acme")
	if status, _ := acme.request("GET", "/api/v1/incidents", ""); status != http.StatusUnauthorized {
		t.Errorf("a token of a dropped tenant: got %d, want 401", status)
	}
	if _, err := os.Stat(filepath.Join(data, "tenants", "acme")); err == nil {
		t.Error("the dropped tenant's folder is still there")
	}
	if got := count(bolt); got != "200 [{2}]" {
		t.Errorf("after the drop the other tenant has %s", got)
	}

	// Made again it is empty, also after a restart.
	acme = p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "acme")))
	p.stop()
	p = serve(t, data)
	acme, bolt = p.as(acme.token), p.as(bolt.token)
	if got := count(acme); !strings.HasPrefix(got, "404") {
		t.Errorf("a tenant that was made again has %s", got)
	}
	if got := count(bolt); got != "200 [{2}]" {
		t.Errorf("after a restart the other tenant has %s", got)
	}
	var page struct {
		Items []struct{ Name, State string }
	}
	p.must(http.StatusOK, "GET", "/api/v1/tenants", "", &page)
	if got := fmt.Sprint(page.Items); got != "[{default at_work} {bolt at_work} {acme at_work}]" {
		t.Errorf("the list of tenants is %s", got)
	}
	p.stop()
}

func testTheDoorsOfTenants(t *testing.T, p, acme, bolt *program) {
	t.Helper()
	for _, c := range []struct {
		who, user, password, sql string
		status                   int
	}{
		{"its own", "acme", acme.token, "SELECT sum(`in`) FROM readings", 200},
		{"another's, by its name", "bolt", acme.token, "SELECT 1", 403},
		{"another's, as the provider", "bolt", p.token, "SELECT 1", 403},
		{"another's database, by its number", "acme", acme.token, "SELECT count() FROM belfry_tenant_3.readings", 403},
		{"its own, by number", "bolt", bolt.token, "SELECT sum(`in`) FROM belfry_tenant_3.readings", 200},
	} {
		status, body := p.ask(c.user, c.password, c.sql)
		if c.status == 403 && status >= 400 && !strings.Contains(body, "UNKNOWN") {
			continue
		}
		if status != c.status {
			t.Errorf("the door to %s: got %d %s, want %d", c.who, status, body, c.status)
		}
	}
}

func grepLines(text, what string) (found string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			found += line
		}
	}
	return found
}

// TestNothingOfAnotherTenantCanBeAskedFor asks every operation of the API, with the
// document's own examples, for what another tenant has.
func TestNothingOfAnotherTenantCanBeAskedFor(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := serve(t, data)
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites":[{"id":"secret-site","zone":"UTC"}],"devices":[{"name":"secret-device","site":"secret-site"}]}`, nil)
	for range 6 {
		p.must(http.StatusCreated, "POST", "/api/v1/incidents", `{"summary":"hidden words","site":"secret-site","device":"secret-device"}`, nil)
	}
	var hook struct{ ID string }
	p.must(http.StatusCreated, "POST", "/api/v1/webhooks", `{"url":"https://hidden.example/"}`, &hook)
	p.must(http.StatusOK, "PUT", "/api/v1/contacts/secret-person", `{"email":"hidden@example.org"}`, nil)
	p.must(http.StatusOK, "PUT", "/api/v1/silences/secret-document", `{"site":"secret-site","from":"2026-12-01T00:00:00Z","to":"2026-12-02T00:00:00Z","reason":"hidden"}`, nil)
	p.must(http.StatusOK, "PUT", "/api/v1/windows/secret-document", `{"sites":["secret-site"],"from":"2026-12-01T00:00:00Z","to":"2026-12-02T00:00:00Z","reason":"hidden"}`, nil)
	var token struct{ ID string }
	p.must(http.StatusCreated, "POST", "/api/v1/tokens", `{"name":"hidden","role":"noc"}`, &token)

	acme := p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "acme")))
	names := strings.NewReplacer("devices/{name}/readings", "devices/secret-device/readings?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", "{ref}", "INC-000006", "webhooks/{id}", "webhooks/"+hook.ID, "tokens/{id}", "tokens/"+token.ID, "sites/{id}", "sites/secret-site",
		"dead/{id}", "dead/0-0", "{id}", "secret-document", "devices/{name}", "devices/secret-device", "contacts/{name}", "contacts/secret-person",
		"tenants/{name}", "tenants/default", "{name}", "secret", "{problem}", "PRB-000001", "{announcement}", "ANN-000001")
	numbers := regexp.MustCompile(`\{[a-z]+\}`) // what is counted within an incident
	var doc struct {
		Paths map[string]map[string]operation
	}
	acme.must(http.StatusOK, "GET", "/openapi.json", "", &doc)
	if len(doc.Paths) < 40 {
		t.Fatalf("the document has %d paths", len(doc.Paths))
	}
	for _, method := range []string{"get", "delete", "patch", "post", "put"} { // what is made is made in the asker's own house
		for path, methods := range doc.Paths {
			if op, ok := methods[method]; ok && path != "/api/v1/events" { // a stream without end
				askOfAnother(t, acme, strings.ToUpper(method), path, numbers.ReplaceAllString(names.Replace(path), "1"), op)
			}
		}
	}
	for _, path := range []string{"incidents/INC-000006", "sites/secret-site", "devices/secret-device", "webhooks/" + hook.ID, "contacts/secret-person", "silences/secret-document"} {
		p.must(http.StatusOK, "GET", "/api/v1/"+path, "", nil)
	}
	p.stop()
}

// operation is what the document says of one.
type operation struct {
	RequestBody struct {
		Content map[string]struct{ Example json.RawMessage }
	}
}

func askOfAnother(t *testing.T, acme *program, method, path, asked string, op operation) {
	t.Helper()
	body := string(op.RequestBody.Content["application/json"].Example)
	headers := []string{"If-Match", "*"}
	if method == "PUT" {
		headers = nil // it would say that there is one
	}
	for kind := range op.RequestBody.Content {
		if body == "" {
			body, headers = "a file", append(headers, "Content-Type", kind)
		}
	}
	status, text := acme.request(method, asked, body, headers...)
	named := strings.Contains(asked, "INC-") || strings.Contains(asked, "secret-") || strings.Contains(path, "{id}")
	switch {
	case strings.Contains(text, "hidden"), method == "GET" && path != "/api/v1/audit" && status < 400 && strings.Contains(text, "secret-"):
		t.Errorf("%s %s shows what is another's: %d %s", method, asked, status, text)
	case status >= 500 && status != http.StatusServiceUnavailable:
		t.Errorf("%s %s: got %d %s", method, asked, status, text)
	case strings.HasPrefix(path, "/api/v1/tenants") && status != http.StatusForbidden:
		t.Errorf("%s %s: got %d %s, want 403", method, asked, status, text)
	case named && method != "PUT" && status != http.StatusNotFound:
		t.Errorf("%s %s: got %d %s, want 404", method, asked, status, text)
	}
}

// TestATenantThatDoesNotOpenIsNotSaidToWork adds one where a file stands in the way.
func TestATenantThatDoesNotOpenIsNotSaidToWork(t *testing.T) {
	data := t.TempDir()
	mustCommand(t, "--data", data, "tenants", "list")
	if err := os.MkdirAll(filepath.Join(data, "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "tenants", "acme"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := command(t, nil, "--data", data, "tenants", "add", "acme")
	if code != 1 || !strings.HasPrefix(out, "bf_") || !strings.Contains(errs, "acme is added, and does not work yet") {
		t.Errorf("exit code %d, %s, %s", code, out, errs)
	}
}

// TestATenantIsDroppedWhenEverybodyHasClosedIt runs two processes over one PostgreSQL,
// and a third that does not let go.
func TestATenantIsDroppedWhenEverybodyHasClosedIt(t *testing.T) {
	source := startPostgres(t)
	settings := []string{"BELFRY_TICKETS_POSTGRES=" + source, "BELFRY_LOG_BROKERS=" + embeddedLog(t).address}
	data := t.TempDir()
	a := launch(t, data, settings, "serve", "--data", data)
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "admin.token"), []byte(a.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := launch(t, other, settings, "serve", "--data", other)
	acme := func() *program {
		a.must(http.StatusCreated, "POST", "/api/v1/tenants", `{"name":"acme"}`, nil)
		var made struct{ Secret string }
		a.must(http.StatusCreated, "POST", "/api/v1/tokens", `{"name":"eva","role":"admin","tenant":"acme"}`, &made)
		there := b.as(made.Secret)
		there.await(time.Minute, "the other process to open acme", func() bool {
			status, _ := there.request("GET", "/api/v1/incidents", "")
			return status == http.StatusOK
		})
		return there
	}
	gone := func(there *program) {
		t.Helper()
		if status, _ := there.request("GET", "/api/v1/incidents", ""); status != http.StatusUnauthorized {
			t.Errorf("the other process answers %d in the name of what was dropped", status)
		}
		there.await(time.Minute, "acme to be forgotten", func() bool {
			_, list := b.request("GET", "/api/v1/tenants", "")
			return !strings.Contains(list, "acme")
		})
	}
	there := acme()
	a.must(http.StatusNoContent, "DELETE", "/api/v1/tenants/acme?confirm=acme", "", nil)
	gone(there)

	there = acme()
	control, err := store.OpenControlPostgres(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	tenants, err := control.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	number := tenants[len(tenants)-1].Number
	if err := control.HoldTenant(t.Context(), number, "host c, process 7", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if status, body := a.request("DELETE", "/api/v1/tenants/acme?confirm=acme", ""); status != http.StatusConflict || !strings.Contains(body, "it is closed in host c, process 7") {
		t.Errorf("dropped under the hands of another: %d %s", status, body)
	}
	if _, list := a.request("GET", "/api/v1/tenants", ""); !strings.Contains(list, `"state":"dropping"`) {
		t.Errorf("meanwhile: %s", list)
	}
	if err := control.LetGo(t.Context(), number, "host c, process 7"); err != nil {
		t.Fatal(err)
	}
	gone(there)

	there = acme()
	if err := control.HoldTenant(t.Context(), number+1, "host c, process 7", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	a.must(http.StatusNoContent, "DELETE", "/api/v1/tenants/acme?confirm=acme&force=true", "", nil)
	gone(there)
	b.stop()
	a.stop()
}
