package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport says which packages of belfry each package may import: downwards,
// never sideways, never up. A package that is not listed fails, and so does one
// that could import less than its line says.
var mayImport = map[string][]string{
	"": {"analyzer", "analyzer/catalogue", "api", "api/oidc", "api/page", "bench", "bench/fleet", "dashboards", "incidents", "incidents/alerts", "incidents/mailbox", "incidents/notices", "incidents/store",
		"ingest", "ingest/broker", "ingest/recording", "telemetry", "telemetry/holidays", "warehouse", "warehouse/chdb", "warehouse/cluster", "warehouse/door"},
	"bench":       {"analyzer", "incidents", "incidents/store", "ingest", "ingest/broker", "telemetry", "warehouse"},
	"bench/fleet": {"telemetry"},

	"api":               {"incidents", "ingest", "telemetry"},
	"api/page":          {"incidents", "telemetry"},
	"warehouse":         {"analyzer", "telemetry", "telemetry/holidays", "warehouse/chdb", "warehouse/cluster"},
	"api/oidc":          {"incidents"},
	"warehouse/cluster": {"warehouse/chdb"},
	"warehouse/door":    {"warehouse/chdb"},
	"incidents/alerts":  {"incidents", "telemetry"},
	"incidents/mailbox": {"incidents", "telemetry"},
	"incidents/notices": {"incidents"},
	"incidents/store":   {"analyzer", "incidents", "telemetry"},
	"ingest/recording":  {"telemetry"},

	"ingest":    {"telemetry"},
	"analyzer":  {"telemetry"},
	"incidents": {"telemetry"},

	"ingest/broker":      {},
	"analyzer/catalogue": {"analyzer"},
	"warehouse/chdb":     {},
	"telemetry":          {"telemetry/holidays"},
	"telemetry/holidays": {},
	"dashboards":         {},
	"deploy/setup":       {},
}

func TestImportsGoDownAndPackagesSayWhatTheyAre(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "belfry"), "/")
		seen[name] = true
		if p.Doc == "" {
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("package %s is not listed in mayImport", p.ImportPath)
		}
		for _, imported := range p.Imports {
			down, ours := strings.CutPrefix(imported, "belfry/")
			if ours && !slices.Contains(allowed, down) {
				t.Errorf("package %s imports %s, which mayImport does not allow", p.ImportPath, imported)
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("mayImport lists %q, and there is no such package", name)
		}
	}
}

type goPackage struct {
	ImportPath, Doc string
	Imports         []string
}

func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestEachDirectDependencySaysWhatItSavesUsFrom(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && strings.Contains(fields[0], ".") && !strings.Contains(string(guide), fields[0]) {
			t.Errorf("CONTRIBUTING.md does not say what %s saves us from", fields[0])
		}
	}
}
