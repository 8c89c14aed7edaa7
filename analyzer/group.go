package analyzer

import (
	"maps"
	"slices"
)

// grouping divides the devices of a fleet by the values of a label.
type grouping struct {
	names []string // the values, ascending
	of    []int32  // by device: its place in names; -1: it is in none
}

// grouped divides the devices by a label. A device without it, on itself or on its
// site, is in no group.
func (f *Fleet) grouped(label string) grouping {
	valueOf := func(i int) string {
		if v := f.Devices[i].Labels[label]; v != "" {
			return v
		}
		return f.Sites[f.siteOf[i]].Labels[label]
	}
	rows := map[string]int32{}
	for i := range f.Devices {
		if v := valueOf(i); v != "" {
			rows[v] = 0
		}
	}
	g := grouping{names: slices.Sorted(maps.Keys(rows)), of: make([]int32, len(f.Devices))}
	for i, name := range g.names {
		rows[name] = int32(i)
	}
	for i := range f.Devices {
		row, ok := rows[valueOf(i)]
		if !ok {
			row = -1
		}
		g.of[i] = row
	}
	return g
}

// among returns which devices are held against each other: by device its place among n
// sites, or among the groups of a label that a rule names; -1 for none.
func (a *Analyzer) among(label string) (of []int32, n int) {
	for _, b := range a.bounds {
		if label != "" && b.rule.Peers == label {
			return b.peers.of, len(b.peers.names)
		}
	}
	return a.fleet.siteOf, len(a.fleet.Sites)
}
