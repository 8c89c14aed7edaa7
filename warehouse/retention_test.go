package warehouse

import (
	"testing"
	"time"

	"belfry/telemetry"
)

// keeping returns a fresh database that keeps things for so many days.
func keeping(t *testing.T, r Retention) *Warehouse {
	t.Helper()
	w := open(t)
	w.retention = r
	return w
}

func TestOldMonthsGoAndTheirHoursStay(t *testing.T) {
	now := time.Now().UTC()
	w := keeping(t, Retention{Readings: 40, Heartbeats: 10})
	register(t, w, "s", "UTC", "a")
	old, young := monthOf(now).AddDate(0, -3, 5), now.Add(-time.Hour)
	// Readings that come when their month is gone already are not summed up, so the
	// old ones are put in as they were when it was young.
	w.retention = Retention{}
	insert(t, w, func(b *telemetry.Batch) {
		for i, ts := range []time.Time{old, old.Add(time.Minute), young} {
			count(b, "a", ts, ts, int64(i), 10, 1)
			heartbeat(b, "a", ts, ts, int64(i+10))
		}
	})
	w.retention = Retention{Readings: 40, Heartbeats: 10}
	rows := "SELECT (SELECT count() FROM {db}.raw_counts), (SELECT count() FROM {db}.raw_heartbeats), sum(readings), sum(`in`) FROM {db}.hourly"
	sweep := func(want string) {
		t.Helper()
		if err := w.Sweep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := tsv(t, w, rows); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	sweep("3\t1\t3\t30") // the readings wait for their hours
	if _, err := w.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	sweep("1\t1\t3\t30")
	insert(t, w, func(b *telemetry.Batch) { count(b, "a", old.Add(2*time.Minute), now, 99, 500, 0) })
	if _, err := w.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	sweep("1\t1\t3\t30") // what came for a month that is gone went, too
	w.retention.Hours = 20
	sweep("1\t1\t1\t10")
}

func TestWhatCameLateIsNotedAsLongAsWhatItIsAbout(t *testing.T) {
	now := time.Now().UTC()
	w := keeping(t, Retention{})
	insert(t, w, func(b *telemetry.Batch) {
		for i, ts := range []time.Time{monthOf(now).AddDate(0, -3, 5), now.Add(-time.Hour)} {
			count(b, "a", ts, ts.Add(time.Hour), int64(i), 10, 1)
			heartbeat(b, "a", ts, ts.Add(time.Hour), int64(i+10))
		}
	})
	if _, err := w.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		r    Retention
		want string
	}{{Retention{}, "2\t4"}, {Retention{Readings: 10}, "1\t4"}, {Retention{Readings: 10, Heartbeats: 10}, "1\t2"}} {
		w.retention = step.r
		if err := w.Sweep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := tsv(t, w, "SELECT (SELECT count() FROM {db}.raw_counts), (SELECT count() FROM {db}.raw_late)"); got != step.want {
			t.Errorf("%+v: got %s, want %s", step.r, got, step.want)
		}
	}
}

func TestNothingGoesUnlessItIsSaid(t *testing.T) {
	w := keeping(t, Retention{})
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "a", time.Date(2001, 1, 2, 0, 0, 0, 0, time.UTC), noon, 1, 1, 1)
	})
	if err := w.Sweep(t.Context(), noon.AddDate(50, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if got := tsv(t, w, "SELECT count() FROM {db}.raw_counts"); got != "1" {
		t.Errorf("%s readings are left of one", got)
	}
}

func TestTheHorizonIsAMonth(t *testing.T) {
	now := time.Date(2026, 3, 15, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		r    Retention
		want string
	}{
		{Retention{}, "0001-01-01"}, {Retention{Heartbeats: 1}, "0001-01-01"}, {Retention{Readings: 10}, "2026-03-01"},
		{Retention{Readings: 20}, "2026-02-01"}, {Retention{Readings: 400, Hours: 90}, "2025-12-01"},
	} {
		if got := c.r.horizon(now).Format(time.DateOnly); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.r, got, c.want)
		}
	}
}
