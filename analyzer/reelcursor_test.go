package analyzer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"pgregory.net/rapid"

	"belfry/telemetry"
)

// TestAReelThatIsAskedAgainAnswersLikeANewOne holds what is remembered between
// instants against a plain reading, whichever way the instants go.
func TestAReelThatIsAskedAgainAnswersLikeANewOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch, all := drawVersions(t, rapid.Bool().Draw(t, "tidy"))
		reel := NewReel(batch)
		for _, second := range rapid.SliceOfN(rapid.Int64Range(0, 40), 1, 12).Draw(t, "instants") {
			s := Scan{AsOf: time.UnixMilli(second * 1000)}
			for _, length := range []int64{1, 4, 30} {
				from := s.AsOf.Add(-time.Duration(length) * time.Second)
				s.Columns = append(s.Columns, Column{Fn: SumIn, Kind: telemetry.Count, From: from, To: s.AsOf},
					Column{Fn: Rows, From: from, To: s.AsOf}, Column{Fn: Max, Kind: telemetry.Heartbeat, Measure: "temp", From: from, To: s.AsOf})
			}
			s.Columns = append(s.Columns, Column{Fn: LastArrival}, Column{Fn: LastArrival, Kind: telemetry.Heartbeat}, Column{Fn: FirstArrival})
			record, err := reel.Query(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range s.Columns {
				got := math.NaN()
				if column := record.Column(i + 1).(*array.Float64); column.Len() == 1 && column.IsValid(0) {
					got = column.Value(0)
				} else if c.Fn == Rows {
					got = 0
				}
				if want := slowly(all, c, s.AsOf.UnixMilli()); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Fatalf("%s as of %d over %v: got %v; want %v", c, second, all, got, want)
				}
			}
			record.Release()
		}
	})
}

// TestABacktestIsTheSameOnAnyNumberOfProcessors compares reports byte for byte.
func TestABacktestIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	const n = 4 * shareLeast
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	batch, devices, noise := &telemetry.Batch{}, make([]telemetry.Device, n), rand.New(rand.NewPCG(3, 4))
	for d := range devices {
		name := fmt.Sprintf("device-%03d", d)
		devices[d] = telemetry.Device{Name: name, Site: fmt.Sprint("site-", d%9), ReadingEvery: 3600}
		for h := range 40 * 24 {
			if at := start.Add(time.Duration(h+1) * time.Hour); d%50 != 7 || h < 36*24 {
				busy := uint32(40)
				if d%50 == 3 && h > 37*24 {
					busy = 0
				}
				addCount(batch, name, at, at.Add(time.Duration(noise.IntN(300))*time.Second), noise.Uint32N(busy+1), busy)
			}
		}
	}
	fleet := mustFleet(t, nil, devices)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var reports [2][]byte
	for i, processors := range []int{1, 4} {
		runtime.GOMAXPROCS(processors)
		report, err := Backtest(t.Context(), BacktestConfig{Rules: shipped(t, "zero-in-opening-hours", "one-direction-dead", "in-out-discrepancy", "incomplete-day"),
			Fleet: fleet, Load: loadBatch(batch), From: start.AddDate(0, 0, 35), To: start.AddDate(0, 0, 40)})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Findings) == 0 {
			t.Fatal("the backtest found nothing to compare")
		}
		if reports[i], err = json.Marshal(report); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(reports[0], reports[1]) {
		t.Errorf("one processor reports %d bytes, four report %d others", len(reports[0]), len(reports[1]))
	}
}

// TestABacktestThatWouldNotEndIsRefused, with the rule that is evaluated too often.
func TestABacktestThatWouldNotEndIsRefused(t *testing.T) {
	rules := mustLoad(t, `
rules:
  - { name: well, scope: device, every: 1m, when: silence() > 1h, category: x }
  - { name: hasty, scope: device, every: 2s, when: silence() > 1h, category: x }
`)
	year := BacktestConfig{Rules: rules, Fleet: mustFleet(t, nil, nil), From: monday, To: monday.Add(365 * 24 * time.Hour)}
	_, err := Backtest(t.Context(), year)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line != 4 || !strings.Contains(err.Error(), "the rule hasty is evaluated every 2s, 15768000 times") {
		t.Errorf("got %v; want the hasty rule", err)
	}
}
