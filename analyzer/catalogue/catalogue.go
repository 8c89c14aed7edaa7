// Package catalogue holds the rule files that belfry ships, inside the binary.
//
// Each file is one rule as a user would write it, with a description for the
// helpdesk; whoever wants another limit copies the file and changes it.
package catalogue

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"belfry/analyzer"
)

//go:embed *.yaml
var files embed.FS

// Files returns the shipped rule files in the order of their names; a fault in
// one of them names it "catalogue/NAME.yaml".
func Files() []analyzer.File {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(fmt.Sprintf("read the embedded catalogue: %v", err)) // it is part of the binary
	}
	var all []analyzer.File
	for _, e := range entries {
		data, err := files.ReadFile(e.Name())
		if err != nil {
			panic(fmt.Sprintf("read the embedded catalogue: %v", err))
		}
		all = append(all, analyzer.File{Name: path.Join("catalogue", e.Name()), Data: data})
	}
	return all
}

// defaults are the rules that run where nobody chose: those of RULES' default set
// that the readings of any fleet carry. The others are there to be chosen.
var defaults = []string{
	"copied-day", "feed-outage", "in-out-discrepancy", "incomplete-day", "never-reported",
	"one-direction-dead", "runaway", "suspected-offline", "zero-in-opening-hours",
}

// Defaults returns the files of the rules that run where nobody chose.
func Defaults() []analyzer.File {
	return slices.DeleteFunc(Files(), func(f analyzer.File) bool {
		return !slices.Contains(defaults, strings.TrimSuffix(path.Base(f.Name), ".yaml"))
	})
}

// Rules returns the shipped rules, checked.
func Rules() (*analyzer.RuleSet, error) { return analyzer.Load(Files()...) }
