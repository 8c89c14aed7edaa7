package warehouse

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"belfry/telemetry"
)

// keptDays says what is known of whole days in raw_days, by which series over weeks are
// answered with the engine inside the process: at a midnight learning asks for twelve of
// them, of every device.
//
// A day is made of its readings when it is asked for, of all devices, and from then
// on only those cells (a device's day) are made anew of which something came late. As of
// which instants days are known, raw_looks says. To a question as of an instant those looks
// count that are not of a later one, and of the rows of a cell the one of the last of them:
// so it does not matter in which order instants are asked for.
//
// A look supposes that whatever had arrived by then was in the warehouse. Where somebody
// inserts what arrived before, Insert forgets the looks from its arrival on, in the table
// too, before it says that it is there.
type keptDays struct {
	turn   chan struct{}      // of capacity 1: one makes days at a time
	atOnce int                // days of devices that are made for one question
	listed int                // devices that must be named at least for days to be looked up: of few the readings are quicker
	making *making            // nil: none are; it is whose turn it is
	many   map[dayOfGrid]bool // likewise: days that are to be made anew, so much came late

	newest atomic.Int64 // instant that was asked for, milliseconds; 0: none

	mu    sync.Mutex // also while raw_looks is written
	looks looks      // the slice is never changed
	torn  int        // how often some were forgotten
}

// look is an instant as of which days are known.
type look struct {
	id   uint64
	asOf int64 // milliseconds
	grid uint8
	days []int64 // since 1970
}

type looks []look

// making is a look whose rows are made stripe by stripe of the fleet.
type making struct {
	look
	torn int
	next uint64 // device
}

const (
	madeAtOnce  = 2000 * 84 // keptDays.atOnce: what a piece of learning reads, too
	listedLeast = 200       // keptDays.listed
)

type dayOfGrid struct {
	grid uint8
	day  int64
}

// ask returns the looks that count as of an instant, and how often some were forgotten.
// From now on nobody inserts what arrived by then without forgetting looks.
func (k *keptDays) ask(asOf int64) (looks, int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest.Store(max(k.newest.Load(), asOf))
	return k.looks, k.torn
}

// known returns as of when the days of a span are known, up to its instant; 0: not at all,
// -1: only as of later ones.
func (l looks) known(d daySpan) []int64 {
	known := make([]int64, d.end-d.first)
	for _, look := range l {
		if look.grid != d.grid {
			continue
		}
		for _, day := range look.days {
			if day < d.first || day >= d.end {
				continue
			}
			switch at := &known[day-d.first]; {
			case look.asOf <= d.asOf:
				*at = max(*at, look.asOf)
			case *at == 0:
				*at = -1
			}
		}
	}
	return known
}

// lacking returns the days that are not known, those that are known as of earlier instants
// and those that are known as of later ones only.
func (l looks) lacking(d daySpan) (missing, behind, past []int64) {
	for i, asOf := range l.known(d) {
		day := d.first + int64(i)
		switch {
		case asOf == 0:
			missing = append(missing, day)
		case asOf < 0:
			past = append(past, day)
		case asOf < d.asOf:
			behind = append(behind, day)
		}
	}
	return missing, behind, past
}

// tornSince reports whether some looks were forgotten since.
func (k *keptDays) tornSince(torn int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.torn != torn
}

// oldest returns the earliest instant as of which one of the days is known.
func (l looks) oldest(d daySpan) int64 {
	least := d.asOf
	for _, asOf := range l.known(d) {
		if asOf > 0 {
			least = min(least, asOf)
		}
	}
	return least
}

// byID returns the looks that count for a question, and those of their days that are known
// as of its instant.
func (l looks) byID(d daySpan) map[uint64]lookOfDays {
	all, known := map[uint64]lookOfDays{}, l.known(d)
	for _, look := range l {
		if look.grid != d.grid || look.asOf > d.asOf {
			continue
		}
		days := make([]bool, d.end-d.first)
		for _, day := range look.days {
			if day >= d.first && day < d.end {
				days[day-d.first] = known[day-d.first] == d.asOf
			}
		}
		all[look.id] = lookOfDays{look.asOf, days}
	}
	return all
}

// noteLook notes a look whose rows are there, unless some were forgotten in between.
func (w *Warehouse) noteLook(ctx context.Context, l look, torn int) error {
	k := &w.days
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.torn != torn {
		return nil
	}
	days := strings.ReplaceAll(strings.Trim(fmt.Sprint(l.days), "[]"), " ", ",")
	if err := w.exec(ctx, fmt.Sprintf("INSERT INTO {db}.raw_looks SELECT %d, fromUnixTimestamp64Milli(%d, 'UTC'), %d, CAST([%s] AS Array(Date))", l.id, l.asOf, l.grid, days), nil); err != nil {
		return fmt.Errorf("note which days are known: %w", err)
	}
	k.looks = append(slices.Clone(k.looks), l)
	return nil
}

// loadLooks reads which days are known.
func (w *Warehouse) loadLooks(ctx context.Context) error {
	out, err := w.Query(ctx, "looks", "SELECT look, toUnixTimestamp64Milli(as_of), grid, arrayStringConcat(arrayMap(d -> toString(toUInt16(d)), days), ' ') FROM {db}.raw_looks", "TSV", nil)
	if err != nil {
		return err
	}
	k := &w.days
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(string(out)) {
		var l look
		fields := strings.Fields(line)
		if _, err := fmt.Sscan(strings.Join(fields[:3], " "), &l.id, &l.asOf, &l.grid); err != nil {
			return fmt.Errorf("read which days are known: %w", err)
		}
		for _, text := range fields[3:] {
			day, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("read which days are known: %w", err)
			}
			l.days = append(l.days, day)
		}
		k.looks = append(k.looks, l)
		k.newest.Store(max(k.newest.Load(), l.asOf))
	}
	return nil
}

// forgetBehind forgets the looks by whose instants something arrived that is inserted now.
func (w *Warehouse) forgetBehind(ctx context.Context, b *telemetry.Batch) error {
	least := int64(math.MaxInt64)
	for _, list := range [][]int64{b.Counts.Arrival, b.Totals.Arrival} {
		for _, at := range list {
			least = min(least, at)
		}
	}
	if least > w.days.newest.Load() {
		return nil
	}
	return w.forgetLooks(ctx, least)
}

// forgetLooks forgets the looks from an instant on, and is sure of it when it returns nil.
func (w *Warehouse) forgetLooks(ctx context.Context, from int64) error {
	k := &w.days
	k.mu.Lock()
	defer k.mu.Unlock()
	k.torn++
	err := w.exec(ctx, fmt.Sprintf("ALTER TABLE {db}.raw_looks DELETE WHERE toUnixTimestamp64Milli(as_of) >= %d SETTINGS mutations_sync = 2", from), nil)
	if err != nil {
		return fmt.Errorf("forget which days are known: %w", err)
	}
	newest := int64(0)
	k.looks = slices.DeleteFunc(slices.Clone(k.looks), func(l look) bool { return l.asOf >= from })
	for _, l := range k.looks {
		newest = max(newest, l.asOf)
	}
	k.newest.Store(newest)
	return nil
}

// dropDays forgets days before one, whatever they are known as of.
func (w *Warehouse) dropDays(ctx context.Context, before int64) error {
	k := &w.days
	k.mu.Lock()
	defer k.mu.Unlock()
	k.torn++
	for _, change := range []string{
		fmt.Sprintf("UPDATE days = arrayFilter(d -> toUInt16(d) >= %[1]d, days) WHERE arrayExists(d -> toUInt16(d) < %[1]d, days)", before),
		"DELETE WHERE empty(days)",
	} {
		if err := w.exec(ctx, "ALTER TABLE {db}.raw_looks "+change+" SETTINGS mutations_sync = 2", nil); err != nil {
			return fmt.Errorf("forget old days: %w", err)
		}
	}
	var left looks
	for _, l := range k.looks {
		l.days = slices.DeleteFunc(slices.Clone(l.days), func(day int64) bool { return day < before })
		if len(l.days) > 0 {
			left = append(left, l)
		}
	}
	k.looks = left
	return nil
}
