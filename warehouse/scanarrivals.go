package warehouse

import (
	"fmt"
	"slices"
	"strings"

	"belfry/analyzer"
)

// onArrivals returns the parts for the columns whose window is on arrivals: one for
// each window and kind of readings. Which rows have come in a window is known to an
// index over arrivals (migration 020), so that a device whose clock is years off is
// read as cheaply as the others.
func (b *scanBuilder) onArrivals() []string {
	var parts []string
	var done []analyzer.Column
	for _, c := range b.scan.Columns {
		group := windowOf(c)
		if !c.Fn.OnArrivals() || slices.Contains(done, group) {
			continue
		}
		done = append(done, group)
		columns, _ := b.columns(func(_ int, c analyzer.Column) string {
			if !c.Fn.OnArrivals() || group != windowOf(c) {
				return ""
			}
			return onArrivals(c)
		})
		parts = append(parts, b.heardWithin(group, columns))
	}
	return parts
}

// windowOf is what columns that look at the same readings have in common.
func windowOf(c analyzer.Column) analyzer.Column {
	return analyzer.Column{Kind: c.Kind, From: c.From, To: c.To}
}

// heardWithin selects columns over what arrived in a window: of each reading the delay
// of the first version, and the arrivals of all. Readings are grouped in the order in
// which they lie.
func (b *scanBuilder) heardWithin(group analyzer.Column, columns string) string {
	var sources []string
	for _, s := range []scanSource{counts, heartbeats} {
		if s.has(group) {
			sources = append(sources, fmt.Sprintf("SELECT device, toUnixTimestamp64Milli(ts) AS stamp, min(delay) AS first, groupUniqArray(delay) AS delays"+
				" FROM {db}.%s WHERE %s %s GROUP BY toDate(ts), device, ts", s.table, b.came(group), b.listed))
		}
	}
	return fmt.Sprintf("SELECT device, %s FROM (SELECT device, groupArray(first) AS lags,"+
		" arraySort(arrayDistinct(arrayFlatten(groupArray(arrayMap(x -> stamp + x, delays))))) AS stamps, arrayPopFront(arrayDifference(stamps)) AS gaps"+
		" FROM (%s) GROUP BY device)", columns, strings.Join(sources, " UNION ALL "))
}

// came is the condition that a row arrived in a column's window.
func (b *scanBuilder) came(c analyzer.Column) string {
	until := c.To
	if b.scan.AsOf.Before(until) {
		until = b.scan.AsOf
	}
	return fmt.Sprintf("%s > %s AND %s <= %s", arrived, millis(c.From), arrived, millis(until))
}

// onArrivals writes one column over the arrays of heardWithin. Medians of an even
// number lie halfway, other quantiles are values that occurred: see analyzer.Column.
func onArrivals(c analyzer.Column) string {
	quantile := func(array string) string {
		return fmt.Sprintf("arrayReduce('quantileExact(%g)', %s) / 1000", c.Share, array)
	}
	switch c.Fn {
	case analyzer.Lag:
		return fmt.Sprintf("if(length(lags) < %d, NULL, %s)", analyzer.LagLeast, quantile("lags"))
	case analyzer.Gap:
		return fmt.Sprintf("if(length(gaps) < %d, NULL, %s)", analyzer.GapLeast, quantile("gaps"))
	case analyzer.Transitions:
		return transitions("stamps", millis(c.To))
	}
	block := analyzer.UsualBlock.Milliseconds()
	n := (c.To.Sub(c.From) + analyzer.UsualBlock - 1) / analyzer.UsualBlock
	within := fmt.Sprintf("arrayFilter(s -> s > t - %d AND s <= t, stamps)", block)
	return fmt.Sprintf("arrayMax(arrayMap(t -> %s, arrayMap(k -> %s - k * %d, range(%d))))", transitions(within, "t"), millis(c.To), block, n)
}

// middle is the median of an array.
func middle(array string) string {
	return "arrayReduce('quantileExactInclusive(0.5)', " + array + ")"
}

// transitions counts in ascending stamps up to an instant. What is used twice is bound
// by a lambda over an array of one, so that it is computed once.
func transitions(stamps, to string) string {
	limit := fmt.Sprintf("greatest(%d * arrayReduce('quantileExact(0.5)', g), %d)", analyzer.GapFactor, analyzer.GapFloor.Milliseconds())
	count := "if(length(g) < 2, 0, 2 * arrayCount(x -> x > l, g) + (" + to + " - s[-1] > l))"
	bound := "arraySum(arrayMap((s, g) -> arraySum(arrayMap(l -> " + count + ", [" + limit + "])), [s], [arrayPopFront(arrayDifference(s))]))"
	return "arraySum(arrayMap(s -> " + bound + ", [" + stamps + "]))"
}

// slopes returns the parts for slopes over daily medians, one for each column.
func (b *scanBuilder) slopes() []string {
	var parts []string
	for at, c := range b.scan.Columns {
		if c.Fn != analyzer.Slope {
			continue
		}
		columns, _ := b.columns(func(i int, _ analyzer.Column) string {
			if i != at {
				return ""
			}
			pairs := "arrayFlatten(arrayMap(a -> arrayMap(b -> (b.2 - a.2) / (b.1 - a.1), arrayFilter(b -> b.1 > a.1, days)), days))"
			return fmt.Sprintf("if(length(groupArray((day, mid)) AS days) < %d, NULL, %s)", analyzer.SlopeLeast, middle(pairs))
		})
		name := fmt.Sprintf("m%d", at)
		b.params[name] = c.Measure
		parts = append(parts, fmt.Sprintf("SELECT device, %s FROM (SELECT device, intDiv(toUnixTimestamp64Milli(ts), 86400000) AS day, quantileExactInclusive(0.5)(last[{%s:String}]) AS mid"+
			" FROM (SELECT device, ts, argMax(measurements, (delay, offset)) AS last FROM {db}.%s WHERE %s <= {asof:Int64} AND %s %s GROUP BY toDate(ts), device, ts)"+
			" WHERE mapContains(last, {%s:String}) GROUP BY device, day) GROUP BY device",
			columns, name, heartbeats.table, arrived, window(c), b.listed, name))
	}
	return parts
}

// totals returns the parts for columns about cumulative counters, one for each.
func (b *scanBuilder) totals() []string {
	var parts []string
	for at, c := range b.scan.Columns {
		if !c.OfTotals() {
			continue
		}
		columns, _ := b.columns(func(i int, _ analyzer.Column) string {
			if i != at {
				return ""
			}
			return "ifNull(" + falls("last", "last >= 0") + ", 0)"
		})
		parts = append(parts, fmt.Sprintf("SELECT device, %s FROM (SELECT device, ts, argMax(%s, (delay, offset)) AS last FROM {db}.raw_totals"+
			" WHERE %s <= {asof:Int64} AND %s %s GROUP BY toStartOfHour(ts), device, ts) GROUP BY device", columns, c.Measure, arrived, window(c), b.listed))
	}
	return parts
}

// falls counts how often a measurement fell, of a source's rows in a window.
func falls(value, within string) string {
	return "if(countIf(" + within + ") = 0, NULL, arrayCount(x -> x < 0, arrayDifference(arrayMap(x -> x.2, arraySort(groupArrayIf((ts, " + value + "), " + within + "))))))"
}
