package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settle is how long no readings have come for an hour before it is made anew.
// Until then it is made of its readings whenever somebody asks.
const settle = 30 * time.Second

// stale is an hour of a stripe that is not up to date, and the sum of its weights.
type stale struct {
	cell   uint64 // as the view raw_stale writes it
	weight uint64
}

func (s stale) hour() int64   { return int64(s.cell / (1 << stripeBits)) }
func (s stale) stripe() uint8 { return uint8(s.cell % (1 << stripeBits)) }

// refresher makes hours anew, in pieces that take a second or so each.
type refresher struct {
	w    *Warehouse
	next int // hours of stripes in the next piece
}

const (
	leastPiece, firstPiece, mostPiece = 16, 512, 1 << 14
	pieceTime                         = time.Second
)

// Refresh brings the table of hours up to date, but for hours that readings
// came for within the last time quiet, and returns how many hours of stripes it
// made anew. Any number of processes may do it at once.
func (w *Warehouse) Refresh(ctx context.Context, quiet time.Duration) (cells int, err error) {
	r := refresher{w, firstPiece}
	for {
		n, err := r.piece(ctx, quiet)
		if err != nil {
			return cells, fmt.Errorf("refresh the hours: %w", err)
		}
		if n == 0 {
			return cells, nil
		}
		cells += n
	}
}

// piece makes a piece of what is stale anew. The weights are taken off when the
// hours are in the table, and those alone that were there before the readings
// were looked at.
func (r *refresher) piece(ctx context.Context, quiet time.Duration) (int, error) {
	start := time.Now()
	list, err := r.w.stale(ctx, quiet, r.next)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	if err := r.w.makeHours(ctx, list); err != nil {
		return 0, err
	}
	if err := r.w.settled(ctx, list); err != nil {
		return 0, err
	}
	r.w.metrics.refreshed.Add(float64(len(list)))
	switch took := time.Since(start); {
	case took > 2*pieceTime:
		r.next = max(r.next/2, leastPiece)
	case took < pieceTime/2:
		r.next = min(r.next*2, mostPiece)
	}
	return len(list), nil
}

// stale returns hours of stripes that are not up to date, at most limit, in the
// order of the readings' table.
func (w *Warehouse) stale(ctx context.Context, quiet time.Duration, limit int) ([]stale, error) {
	out, err := w.Query(ctx, "stale", "SELECT cell, weight FROM {db}.raw_stale WHERE touched <= now() - {quiet:UInt32}"+
		" ORDER BY toDate(hour), stripe, hour LIMIT {limit:UInt32}", "TSV",
		map[string]string{"quiet": strconv.Itoa(int(quiet.Seconds())), "limit": strconv.Itoa(limit)})
	if err != nil {
		return nil, err
	}
	var list []stale
	for line := range strings.Lines(string(out)) {
		var s stale
		if _, err := fmt.Sscan(line, &s.cell, &s.weight); err != nil {
			return nil, fmt.Errorf("read what is stale: %w", err)
		}
		list = append(list, s)
	}
	return list, nil
}

// makeHours puts the hours into the table, made of their readings: of each the
// version that arrived last. It takes one processor, since nobody waits for it.
func (w *Warehouse) makeHours(ctx context.Context, list []stale) error {
	cells := make([]string, len(list))
	var days []string
	for i, s := range list {
		cells[i] = strconv.FormatUint(s.cell, 10)
		for _, at := range []int64{s.hour(), s.hour() + 3600} { // the last reading of a day's last hour is at midnight
			days = append(days, time.Unix(at, 0).UTC().Format("'2006-01-02'"))
		}
	}
	slices.Sort(days)
	_, err := w.Query(ctx, "make_hours", `
INSERT INTO {db}.raw_hours (hour, device, `+"`in`, `out`"+`, readings, arrival, versions)
SELECT hour, device, sumIf(i, later = 0), sumIf(o, later = 0), countIf(later = 0), max(arrival), countIf(NOT (later AND again = (delay, offset)))
FROM (
    SELECT device, ts, toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, delay, offset, `+"`in` AS i, `out` AS o"+`, ts + toIntervalMillisecond(delay) AS arrival,
           leadInFrame(1) OVER w AS later, leadInFrame((delay, offset)) OVER w AS again
    FROM {db}.raw_counts
    WHERE toDate(ts) IN {days:Array(Date)} AND toUnixTimestamp(toStartOfHour(ts - toIntervalMillisecond(1))) * 64 + bitShiftRight(device, 58) IN {cells:Array(UInt64)}
      AND device BETWEEN {first:UInt64} AND {last:UInt64}
    WINDOW w AS (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
GROUP BY hour, device
SETTINGS max_threads = 1, insert_deduplicate = 0`, "Null", map[string]string{
		"days":  "[" + strings.Join(slices.Compact(days), ",") + "]",
		"cells": "[" + strings.Join(cells, ",") + "]",
		"first": strconv.FormatUint(uint64(slices.MinFunc(list, byStripe).stripe())<<(64-stripeBits), 10),
		"last":  strconv.FormatUint(uint64(slices.MaxFunc(list, byStripe).stripe()+1)<<(64-stripeBits)-1, 10),
	})
	return err
}

func byStripe(a, b stale) int { return int(a.stripe()) - int(b.stripe()) }

// settled takes the weights off.
func (w *Warehouse) settled(ctx context.Context, list []stale) error {
	var rows strings.Builder
	for _, s := range list {
		fmt.Fprintf(&rows, "%s\t%d\t%d\t1970-01-01 00:00:00\n", time.Unix(s.hour(), 0).UTC().Format(time.DateTime), s.stripe(), -s.weight)
	}
	return w.engine.Insert(ctx, "INSERT INTO "+w.db+".raw_dirty (hour, stripe, weight, touched) SETTINGS insert_deduplicate = 0", "TSV", []byte(rows.String()))
}
