package ingest

import (
	"bytes"
	"sync"
	"time"

	"belfry/telemetry"
)

// BadLine is an object of a body that was refused.
type BadLine struct {
	Line   int    `json:"line"`  // where it begins, from 1
	Index  int    `json:"index"` // which object of the body, from 0
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// Split takes a body of NDJSON, a JSON array or one object apart into records,
// one for each reading, keyed by device, and lists what it refuses. It judges
// by the rules of Decoder, with the given instant for the arrival. The records
// have no Time yet; their keys and values alias the body. kept is how many of the
// readings their devices have kept for more than a day.
func Split(body []byte, at time.Time) (records []Record, bad []BadLine, kept int) {
	d := splitters.Get().(*splitter)
	defer d.giveBack()
	accepted, rejects := d.split(body, at)
	records = make([]Record, len(accepted))
	for i, s := range accepted {
		records[i] = Record{Key: s.device, Value: body[s.from:s.to]}
	}
	line, counted := 1, 0
	for i := range rejects {
		r := &rejects[i]
		line += bytes.Count(body[counted:r.At], []byte{'\n'})
		counted = r.At
		bad = append(bad, BadLine{Line: line, Index: r.Index, Reason: r.Reason, Detail: r.Detail})
	}
	return records, bad, d.before(at.Add(-keptFor).UnixMilli())
}

// keptFor is how long a device has to have kept a reading for it to be no live one.
const keptFor = 24 * time.Hour

// before counts the readings of the batch before an instant, milliseconds since 1970.
func (s *splitter) before(at int64) (n int) {
	for _, times := range [][]int64{s.batch.Counts.TS, s.batch.Heartbeats.TS, s.batch.Totals.TS} {
		for _, ts := range times {
			if ts < at {
				n++
			}
		}
	}
	return n
}

// splitter is a decoder that remembers the devices of earlier bodies, for which
// they need not be hashed and checked again. What it decodes is thrown away.
type splitter struct {
	*Decoder
	batch    telemetry.Batch
	accepted []span
	rejects  []Reject
}

var splitters = sync.Pool{New: func() any { return &splitter{Decoder: NewDecoder(0)} }}

// split returns what is the splitter's until it is given back.
func (s *splitter) split(body []byte, at time.Time) ([]span, []Reject) {
	s.Decoder.accepted = &s.accepted
	s.Decode(body, at.UnixMilli(), 0, &s.batch, &s.rejects)
	s.Registered()
	return s.accepted, s.rejects
}

func (s *splitter) giveBack() {
	s.batch.Reset()
	clear(s.rejects) // they alias the body, as do those that were accepted
	clear(s.accepted)
	s.accepted, s.rejects = s.accepted[:0], s.rejects[:0]
	splitters.Put(s)
}
