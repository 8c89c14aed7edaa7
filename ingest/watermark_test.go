package ingest

import (
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// at returns an instant of the tests, in seconds after noon.
func at(seconds int) time.Time {
	return time.UnixMilli(noon).UTC().Add(time.Duration(seconds) * time.Second)
}

func TestWatermark(t *testing.T) {
	caughtUp := look{partition: 0, end: 10, committed: 10, timestamp: at(-3600).UnixMilli()}
	tests := []struct {
		name  string
		steps func(t *tracker)
		want  time.Time
	}{
		{"nothing is known", func(*tracker) {}, time.Time{}},
		{"caught up: the look, less what a record may take to appear", func(t *tracker) { t.looked(at(0), []look{caughtUp}) }, at(-2)},
		{"an empty topic is caught up", func(t *tracker) { t.looked(at(0), []look{{committed: -1}}) }, at(-2)},
		{"lagging: the last record written", func(t *tracker) {
			t.looked(at(0), []look{{end: 10, committed: 5, timestamp: at(-600).UnixMilli()}})
		}, at(-600)},
		{"lagging after it was caught up: not before that", func(t *tracker) {
			t.looked(at(0), []look{caughtUp})
			t.looked(at(9), []look{{end: 20, committed: 12, timestamp: at(-3000).UnixMilli()}})
		}, at(-2)},
		{"the least of all partitions, also of other processes", func(t *tracker) {
			t.looked(at(0), []look{caughtUp, {partition: 1, end: 10, committed: 5, timestamp: at(-50).UnixMilli()}})
		}, at(-50)},
		{"nothing ever written of a partition that has records", func(t *tracker) {
			t.looked(at(0), []look{caughtUp, {partition: 1, end: 10, committed: -1}})
		}, time.Time{}},
		{"records that were deleted before they were read are no lag", func(t *tracker) {
			t.looked(at(0), []look{{start: 10, end: 10, committed: 5}})
		}, at(-2)},
		{"a producer whose clock is a day ahead", func(t *tracker) {
			t.looked(at(0), []look{{end: 10, committed: 5, timestamp: at(86400).UnixMilli()}})
		}, at(-2)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Consumer{o: Options{Settle: 2 * time.Second, Now: func() time.Time { return at(0) }}, metrics: newMetrics(nil)}
			c.tracker.init(&c.o, c.metrics)
			test.steps(&c.tracker)
			if got := c.Watermark(at(100)); !got.Equal(test.want) {
				t.Errorf("got %s; want %s", got, test.want)
			}
			if got := c.Watermark(at(-7200)); got.After(at(-7200)) {
				t.Errorf("got %s, after now", got)
			}
		})
	}
}

func TestStatusCountsLagAndListsProblems(t *testing.T) {
	o := Options{Topic: Topic{Name: "t"}, Group: "g", Now: func() time.Time { return at(0) }}
	c := &Consumer{o: o, metrics: newMetrics(nil)}
	c.o.Log = discard
	c.tracker.init(&c.o, c.metrics)
	c.tracker.assign([]kafka.PartitionAssignment{{ID: 1, Offset: 4}})
	c.tracker.looked(at(0), []look{
		{partition: 0, end: 10, committed: -1},
		{partition: 1, start: 2, end: 9, committed: 4, timestamp: at(-30).UnixMilli()},
	})
	c.tracker.looked(at(5), []look{{partition: 0, end: 10, committed: -1}})
	c.tracker.wrote(1, 6, at(-20).UnixMilli(), 2, 1)
	c.tracker.failed(1, stepInsert, errors.New("disk full"))
	c.tracker.failed(-1, stepGroup, errors.New("away"))
	c.tracker.failed(1, stepInsert, errors.New("disk still full"))
	s := c.Status()
	want := []PartitionStatus{
		{Partition: 0, Committed: -1, HighWatermark: 10, LagRecords: 10, LagSeconds: 5},
		{Partition: 1, Assigned: true, Committed: 6, HighWatermark: 9, LagRecords: 3, LagSeconds: 25, Readings: 2, Rejected: 1},
	}
	if len(s.Partitions) != 2 || s.Partitions[0] != want[0] || s.Partitions[1] != want[1] {
		t.Errorf("partitions %+v; want %+v", s.Partitions, want)
	}
	if s.LagRecords != 13 || s.LagSeconds != 25 || s.Readings != 2 || s.Rejected != 1 || !s.Connected {
		t.Errorf("status %+v", s)
	}
	if len(s.Problems) != 2 || s.Problems[0].Step != stepGroup || s.Problems[1].Attempts != 2 || s.Problems[1].Error != "disk still full" {
		t.Errorf("problems %+v", s.Problems)
	}
	c.tracker.worked(1, stepInsert)
	c.tracker.worked(-1, stepGroup)
	if p := c.Status().Problems; len(p) != 0 {
		t.Errorf("problems %+v; want none", p)
	}
}
