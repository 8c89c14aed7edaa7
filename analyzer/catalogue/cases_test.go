package catalogue

import (
	"os"
	"path/filepath"
	"testing"

	"belfry/analyzer"
)

// TestTheRulesPassTheirTests runs tests/NAME.yaml of each rule file, as
// `belfry rules test` does.
func TestTheRulesPassTheirTests(t *testing.T) {
	for _, f := range Files() {
		name := filepath.Join("tests", filepath.Base(f.Name))
		t.Run(filepath.Base(f.Name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("the rule has no tests: %v", err)
			}
			cases, err := analyzer.LoadCases(analyzer.File{Name: name, Data: data}, func(rule string) ([]analyzer.File, error) {
				data, err := os.ReadFile(filepath.Join("tests", rule))
				return []analyzer.File{{Name: rule, Data: data}}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			results, err := cases.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				for _, failure := range r.Failures {
					t.Errorf("%s: %s", r.Name, failure)
				}
			}
		})
	}
}
