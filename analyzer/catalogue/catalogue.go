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

// Entry is a line of the catalogue: a rule file, its number in it, and when it runs
// where nobody chose.
type Entry struct {
	Number int
	File   string // without its ending
	// Default rules run on any fleet. Later ones look at what is usual and say
	// nothing before there are four weeks of it; then they run by themselves.
	Default, Later bool
}

// Entries is the catalogue in the order of its numbers. What is resent and what is
// copied are both number 22.
var Entries = []Entry{
	{Number: 1, File: "suspected-offline", Default: true},
	{Number: 2, File: "late-heartbeat"},
	{Number: 3, File: "never-reported", Default: true},
	{Number: 4, File: "powered-not-counting"},
	{Number: 5, File: "counts-without-heartbeat"},
	{Number: 6, File: "zero-in-opening-hours", Default: true},
	{Number: 7, File: "one-direction-dead", Default: true},
	{Number: 8, File: "in-out-discrepancy", Default: true},
	{Number: 9, File: "direction-swapped"},
	{Number: 10, File: "occupancy-drift"},
	{Number: 11, File: "stuck"},
	{Number: 12, File: "runaway", Default: true},
	{Number: 13, File: "spike", Later: true},
	{Number: 14, File: "drop", Later: true},
	{Number: 15, File: "level-shift", Later: true},
	{Number: 16, File: "peer-outlier", Later: true},
	{Number: 17, File: "group-event", Later: true},
	{Number: 18, File: "feed-outage", Default: true},
	{Number: 19, File: "flapping"},
	{Number: 20, File: "clock-skew", Default: true},
	{Number: 21, File: "late-delivery"},
	{Number: 22, File: "copied-day", Default: true},
	{Number: 22, File: "resent-readings", Default: true},
	{Number: 23, File: "incomplete-day", Default: true},
	{Number: 24, File: "counter-reset"},
	{Number: 25, File: "battery-decline"},
	{Number: 26, File: "activity-while-closed"},
	{Number: 27, File: "recurring-outage"},
	{Number: 28, File: "registry-mismatch"},
}

// Of returns the catalogue's line that a rule file belongs to, and false when it is
// none of the catalogue's.
func Of(file string) (Entry, bool) {
	i := slices.IndexFunc(Entries, func(e Entry) bool { return file == path.Join("catalogue", e.File+".yaml") })
	if i < 0 {
		return Entry{}, false
	}
	return Entries[i], true
}

// Defaults returns the files of the rules that run where nobody chose.
func Defaults() []analyzer.File {
	return slices.DeleteFunc(Files(), func(f analyzer.File) bool {
		e, ok := Of(f.Name)
		return !ok || !e.Default
	})
}

// Later returns the files of the rules that run where nobody chose once there are four
// weeks of history. Each holds one rule, named as its file is.
func Later() []analyzer.File {
	return slices.DeleteFunc(Files(), func(f analyzer.File) bool {
		e, ok := Of(f.Name)
		return !ok || !e.Later
	})
}

// NameOf returns the name of a shipped file without folder and ending.
func NameOf(f analyzer.File) string { return strings.TrimSuffix(path.Base(f.Name), ".yaml") }

// Rules returns the shipped rules, checked.
func Rules() (*analyzer.RuleSet, error) { return analyzer.Load(Files()...) }
