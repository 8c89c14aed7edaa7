package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// schemathesisConfig gives generated requests names of things that are there, four
// times in five, and the ETag that any version has.
const schemathesisConfig = `
[dictionaries]
refs = { values = ["INC-000001", "INC-000002", "INC-000003"] }
names = { values = ["FC-1", "example", "silent"] }
ids = { values = ["paris", "example", "default", %q] }
problems = { values = ["PRB-000001"] }
announcements = { values = ["ANN-000001"] }
numbers = { values = ["1"] }
tags = { values = ["*"] }

[parameters]
"path.ref" = { dictionary = "refs", probability = 0.8 }
"path.name" = { dictionary = "names", probability = 0.8 }
"path.id" = { dictionary = "ids", probability = 0.8 }
"path.problem" = { dictionary = "problems", probability = 0.8 }
"path.announcement" = { dictionary = "announcements", probability = 0.8 }
"path.action" = { dictionary = "numbers", probability = 0.8 }
"path.notice" = { dictionary = "numbers", probability = 0.8 }
"header.If-Match" = { dictionary = "tags", probability = 0.8 }
`

// TestGeneratedRequestsFindNoFault lets schemathesis make requests from the document,
// right and wrong ones, for several roles: no answer may be a 5xx, a status or
// header that is not documented, or a body that breaks its schema.
// BELFRY_TEST_GENERATED is for how many seconds each role asks; 8 by default.
func TestGeneratedRequestsFindNoFault(t *testing.T) {
	program := schemathesis(t)
	p := serve(t, t.TempDir(), "BELFRY_API_RATE=-1")
	config := filepath.Join(t.TempDir(), "schemathesis.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, schemathesisConfig, p.furnish()), 0o600); err != nil {
		t.Fatal(err)
	}
	seconds := os.Getenv("BELFRY_TEST_GENERATED")
	if seconds == "" {
		seconds = "8"
	}
	for _, one := range []struct{ role, body, phases string }{
		{"admin", `{"name":"a","role":"admin"}`, "coverage"},
		{"admin", `{"name":"b","role":"admin"}`, "fuzzing"},
		{"admin", `{"name":"e","role":"admin"}`, "stateful"}, // what one answer links to; after the others there is no time for it
		{"first_line", `{"name":"c","role":"first_line"}`, "fuzzing"},
		{"site_manager", `{"name":"d","role":"site_manager","site":"paris"}`, "fuzzing"},
	} {
		t.Run(one.role+" "+one.phases, func(t *testing.T) {
			var made struct{ Secret string }
			p.must(http.StatusCreated, "POST", "/api/v1/tokens", one.body, &made)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			// A stream has no end; folders, tenants and one's own token are better left
			// alone. What is null or empty counts as left out, which the checks of input
			// call too kind, and more is checked than a schema can say. A rule may be named
			// check, so that Allow of /rules/check has the methods of two paths.
			cmd := exec.CommandContext(ctx, program, "--no-color", "--config-file", config, "run", p.api+"/openapi.json",
				"--header", "Authorization: Bearer "+made.Secret, "--phases", one.phases, "--max-time", seconds, "--max-examples", "5", "--seed", "1",
				"--generation-database", "none", "--no-shrink", "--warnings", "off", "--request-timeout", "60",
				"--exclude-checks", "negative_data_rejection,positive_data_acceptance,allow_header_conformance",
				"--exclude-path", "/api/v1/events", "--exclude-path-regex", "/(backup|restore|tenants|tokens/)")
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), " generated, ") {
				t.Errorf("schemathesis: %v\n%s", err, out)
			}
			t.Logf("%s", lastLines(string(out), 12))
		})
	}
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("the log says: %s", line)
		}
	}
	p.stop()
}

// schemathesis returns the program, or skips.
func schemathesis(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	found, err := filepath.Glob(filepath.Join(cache, "belfry", "schemathesis", "*", "bin", "schemathesis"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("schemathesis is not installed; make setup-tests brings it")
	}
	return slices.Max(found)
}

// furnish makes a site with a device and incidents, and one of everything that the
// document has an example of. It returns the id of a webhook.
func (p *program) furnish() (hook string) {
	p.t.Helper()
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites":[{"id":"paris","zone":"Europe/Paris"},{"id":"rome","zone":"Europe/Rome"}],"devices":[{"name":"FC-1","site":"paris"},{"name":"FC-2","site":"rome"}]}`, nil)
	for _, site := range []string{"paris", "rome", "paris"} {
		p.must(http.StatusCreated, "POST", "/api/v1/incidents", fmt.Sprintf(`{"summary":"the lift stands still","site":%q}`, site), nil)
	}
	var made struct{ ID string }
	p.must(http.StatusCreated, "POST", "/api/v1/webhooks", `{"url":"https://hook.example/"}`, &made)
	var doc struct {
		Paths map[string]map[string]operation
	}
	p.must(http.StatusOK, "GET", "/openapi.json", "", &doc)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		methods := doc.Paths[path]
		for _, method := range []string{"put", "post"} {
			op, ok := methods[method]
			if !ok || method == "post" && path != "/api/v1/problems" && path != "/api/v1/announcements" {
				continue
			}
			real := strings.NewReplacer("matrices/{id}", "matrices/default", "rules/{name}", "rules/silent", "{id}", "example", "{name}", "example").Replace(path)
			headers := []string{}
			if strings.HasSuffix(real, "matrices/default") {
				headers = []string{"If-Match", `"0"`}
			}
			body := op.RequestBody.Content["application/json"].Example
			if status, text := p.request(strings.ToUpper(method), real, string(body), headers...); status >= 300 {
				p.t.Fatalf("%s %s: %d %s", method, real, status, text)
			}
		}
	}
	return made.ID
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
