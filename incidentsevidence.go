package main

import (
	"cmp"
	"fmt"
	"math"
	"strconv"

	"belfry/api"
)

// printEvidence prints what showed an incident when its rule fired last: why it did, and
// the readings, as they were then.
func (t *terminal) printEvidence(shown []api.Shown) error {
	if len(shown) == 0 {
		return nil
	}
	var rows [][]string
	for _, e := range shown[len(shown)-1].Evidence {
		if e.What == "why" {
			fmt.Fprintf(t.out, "\nwhy: %s\n", e.Note)
			continue
		}
		usual := ""
		if e.Low != nil && e.High != nil {
			usual = fmt.Sprintf("%.0f to %.0f", *e.Low, *e.High)
		}
		rows = append(rows, []string{when(e.At), e.What, figure(e.Value), figure(e.In), figure(e.Out), orDash(usual), cmp.Or(e.Note, "-")})
	}
	fmt.Fprintln(t.out)
	return t.printTable("AT EVIDENCE VALUE IN OUT USUAL NOTE", rows)
}

// figure writes a number that may be missing.
func figure(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(math.Round(*v*100)/100, 'f', -1, 64)
}
