package ingest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// Status says how ingestion is doing.
type Status struct {
	Topic      string            `json:"topic"`
	Group      string            `json:"group"`
	Connected  bool              `json:"connected"`          // the last look at the log succeeded
	Checked    time.Time         `json:"checked,omitzero"`   // when that was
	Watermark  time.Time         `json:"watermark,omitzero"` // see Consumer.Watermark
	LagRecords int64             `json:"lag_records"`        // over all partitions
	LagSeconds float64           `json:"lag_seconds"`        // of the partition that is furthest behind
	Problems   []Problem         `json:"problems,omitempty"` // what is being tried again
	Partitions []PartitionStatus `json:"partitions"`         // of the whole topic, in order
	Readings   uint64            `json:"readings"`           // written by this process, repeats included
	Rejected   uint64            `json:"rejected"`           // refused by this process
}

// Problem is a step that fails and is being tried again.
type Problem struct {
	Partition int       `json:"partition"` // -1: not of one partition
	Step      string    `json:"step"`      // group, fetch, register, insert, dead_letters, commit or lag
	Error     string    `json:"error"`
	Since     time.Time `json:"since"`
	Attempts  int       `json:"attempts"`
}

// PartitionStatus is the state of one partition of the topic.
type PartitionStatus struct {
	Partition     int       `json:"partition"`
	Assigned      bool      `json:"assigned"`       // to this process
	Committed     int64     `json:"committed"`      // offset up to which everything is in the warehouse; -1: never
	HighWatermark int64     `json:"high_watermark"` // offset that the next record in the log will have
	LagRecords    int64     `json:"lag_records"`
	LagSeconds    float64   `json:"lag_seconds"`
	Paused        time.Time `json:"paused,omitzero"` // since when; see Consumer.Pause
	Readings      uint64    `json:"readings"`        // written by this process
	Rejected      uint64    `json:"rejected"`        // refused by this process
}

// Behind returns how many records wait for their turn. Those of a partition that is
// paused, or can't be written, wait for something else.
func (s *Status) Behind() (records int64) {
	for _, p := range s.Partitions {
		stuck := slices.ContainsFunc(s.Problems, func(x Problem) bool { return x.Partition == p.Partition })
		if !stuck && p.Paused.IsZero() {
			records += p.LagRecords
		}
	}
	return records
}

// tracker knows how far the partitions are and what fails. It is safe for use
// by several goroutines.
type tracker struct {
	o *Options
	m *metrics

	pausesKnown atomic.Bool // the log has been asked which partitions are paused

	mu       sync.Mutex
	problems map[place]*Problem
	parts    map[int]*part
	checked  time.Time
	pausing  int // how often this process has paused and resumed
}

type place struct {
	partition int
	step      string
}

// part is what is known of one partition.
type part struct {
	assigned           bool
	committed          int64 // -1: never
	start, end         int64 // of the log
	complete           time.Time
	paused             time.Time // since when; zero: it is not
	behindSince        time.Time // when it was first seen to lag, while it does
	readings, rejected uint64
}

func (p *part) lag() int64 { return max(0, p.end-max(p.committed, p.start)) }

func (t *tracker) init(o *Options, m *metrics) {
	t.o, t.m = o, m
	t.problems, t.parts = map[place]*Problem{}, map[int]*part{}
}

func (t *tracker) part(partition int) *part {
	p := t.parts[partition]
	if p == nil {
		p = &part{committed: -1}
		t.parts[partition] = p
	}
	return p
}

// failed notes a failure that will be tried again. The first of a row is logged.
func (t *tracker) failed(partition int, step string, err error) {
	t.m.retries.WithLabelValues(step).Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.problems[place{partition, step}]
	if p == nil {
		p = &Problem{Partition: partition, Step: step, Since: t.o.Now()}
		t.problems[place{partition, step}] = p
		t.o.Log.Warn("ingestion step fails and is tried again", "step", step, "partition", partition, "error", err)
	}
	p.Attempts++
	p.Error = err.Error()
}

// worked notes that a step succeeded.
func (t *tracker) worked(partition int, step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.problems[place{partition, step}]; p != nil {
		delete(t.problems, place{partition, step})
		t.o.Log.Info("ingestion step works again", "step", step, "partition", partition, "attempts", p.Attempts)
	}
}

// assign notes which partitions are ours from now on.
func (t *tracker) assign(mine []kafka.PartitionAssignment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, p := range t.parts {
		if p.assigned {
			p.assigned = false
			t.m.lagRecords.DeleteLabelValues(label(id))
			t.m.partitionLag.DeleteLabelValues(label(id))
		}
	}
	maps.DeleteFunc(t.problems, func(at place, _ *Problem) bool { return at.partition >= 0 })
	for _, a := range mine {
		p := t.part(a.ID)
		p.assigned, p.committed = true, max(a.Offset, -1)
		t.m.lagRecords.WithLabelValues(label(a.ID)).Set(float64(p.lag()))
	}
	t.m.partitions.Set(float64(len(mine)))
}

// wrote notes that everything before an offset is in the warehouse.
func (t *tracker) wrote(partition int, offset, timestamp int64, readings, rejected int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.part(partition)
	p.committed = offset
	p.end = max(p.end, offset)
	p.reach(timestamp, t.o.Now().Add(-t.o.Settle))
	p.readings += uint64(readings)
	p.rejected += uint64(rejected)
	t.m.lagRecords.WithLabelValues(label(partition)).Set(float64(p.lag()))
}

// Status returns how ingestion is doing.
func (c *Consumer) Status() Status {
	t := &c.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Topic: c.o.Topic.Name, Group: c.o.Group, Checked: t.checked, Watermark: t.watermark()}
	_, blind := t.problems[place{-1, stepLag}]
	s.Connected = !blind && !t.checked.IsZero()
	for _, id := range slices.Sorted(maps.Keys(t.parts)) {
		p := t.parts[id]
		s.Partitions = append(s.Partitions, PartitionStatus{
			Partition: id, Assigned: p.assigned, Committed: p.committed, HighWatermark: p.end,
			LagRecords: p.lag(), LagSeconds: p.lagSeconds(t.checked), Paused: p.paused, Readings: p.readings, Rejected: p.rejected,
		})
		s.LagRecords += p.lag()
		s.LagSeconds = max(s.LagSeconds, p.lagSeconds(t.checked))
		s.Readings += p.readings
		s.Rejected += p.rejected
	}
	for _, p := range t.problems {
		s.Problems = append(s.Problems, *p)
	}
	slices.SortFunc(s.Problems, func(a, b Problem) int { return strings.Compare(a.key(), b.key()) })
	return s
}

func (p *Problem) key() string { return fmt.Sprintf("%08d %s", p.Partition+1, p.Step) }
