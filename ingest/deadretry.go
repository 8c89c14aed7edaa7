package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/segmentio/kafka-go"
)

// Retry says which dead letters are to be sent again.
type Retry struct {
	IDs    []string // these; empty: all that were not sent again before
	Reason string   // of all, only those that were refused for this reason; "": any
}

// Retried says what became of a Retry.
type Retried struct {
	Sent    int       // letters whose bodies are in the topic again
	Skipped int       // letters that can't be sent again, or were before
	Why     []Skipped // the first of the skipped
}

// Skipped is a letter that was not sent again.
type Skipped struct{ ID, Why string }

// maxSkipped bounds Retried.Why.
const maxSkipped = 100

// A retry goes by portions: what was sent is remembered after each.
const (
	portionLetters = 1000
	portionBytes   = 4 << 20
	maxRetryBody   = 900_000 // of a megabyte, which is what an intake's batch may have
)

// Retry appends the bodies of dead letters to the topic again, under their keys
// and with the present as their arrival: what was known in the past stays as it
// was. What is refused once more becomes another letter. The letters are then
// remembered as sent, in the log itself (the topic TOPIC.dead.retried), and not
// listed any more. After an error, or a death in the middle, some may have been
// sent without being remembered; sending them again is seen as a repetition and
// counts once.
func (d *DeadLetters) Retry(ctx context.Context, which Retry) (done Retried, err error) {
	if d.o.Intake == nil {
		return done, errors.New("send dead letters again: this process does not write to the log")
	}
	v, end := d.view()
	defer end()
	if err := v.recall(ctx); err != nil {
		return done, err
	}
	ends, err := v.ends(ctx, d.topic)
	if err != nil {
		return done, err
	}
	p := portion{d: v, done: &done, reason: which.Reason}
	if len(which.IDs) > 0 {
		err = p.these(ctx, ends, which.IDs)
	} else {
		err = p.all(ctx, ends)
	}
	if err == nil {
		err = p.send(ctx)
	}
	return done, err
}

// portion is what is sent at once.
type portion struct {
	d       *deadView
	done    *Retried
	reason  string
	records []Record
	places  []letterPlace
	bytes   int
}

func (p *portion) these(ctx context.Context, ends []kafka.PartitionOffsets, ids []string) error {
	var places []letterPlace
	for _, id := range ids {
		place, err := parsePlace(id)
		if err != nil {
			return err
		}
		places = append(places, place)
	}
	slices.SortFunc(places, comparePlaces)
	for _, place := range slices.Compact(places) {
		letter, err := p.d.find(ctx, ends, place)
		if err != nil {
			return err
		}
		if err := p.take(ctx, place, letter); err != nil {
			return err
		}
	}
	return nil
}

// all takes the letters that were there when it was begun.
func (p *portion) all(ctx context.Context, ends []kafka.PartitionOffsets) error {
	for _, e := range ends {
		err := p.d.scan(ctx, p.d.topic, e.Partition, e.FirstOffset, e.LastOffset, func(r *record) error {
			if p.d.retried.has(e.Partition, r.offset) {
				return nil
			}
			letter := letterOf(e.Partition, r, len(r.value))
			if p.reason != "" && letter.Reason != p.reason {
				return nil
			}
			return p.take(ctx, letterPlace{e.Partition, r.offset}, letter)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *portion) take(ctx context.Context, place letterPlace, l DeadLetter) error {
	if why := l.unsendable(); why != "" {
		p.done.Skipped++
		if len(p.done.Why) < maxSkipped {
			p.done.Why = append(p.done.Why, Skipped{l.ID, why})
		}
		return nil
	}
	p.records = append(p.records, Record{Key: l.Key, Value: l.Body, ContentType: l.ContentType})
	p.places = append(p.places, place)
	if p.bytes += len(l.Body); len(p.records) >= portionLetters || p.bytes >= portionBytes {
		return p.send(ctx)
	}
	return nil
}

// unsendable returns why a letter can't be sent again; "" when it can.
func (l *DeadLetter) unsendable() string {
	switch {
	case l.Retried:
		return "it was sent again before"
	case l.Cut:
		return "the topic did not take the whole of it"
	case l.Reason == BadBatch:
		return "it is a damaged batch of the log, not a record"
	case len(l.Body) > maxRetryBody:
		return fmt.Sprintf("it has %d bytes; send it by the way it came", len(l.Body))
	}
	return ""
}

// send appends the portion and remembers it.
func (p *portion) send(ctx context.Context) error {
	if len(p.records) == 0 {
		return nil
	}
	now := p.d.o.Now()
	for i := range p.records {
		p.records[i].Time = now
	}
	if err := p.d.o.Intake.Append(ctx, p.records); err != nil {
		return fmt.Errorf("send %d dead letters again: %w", len(p.records), err)
	}
	p.done.Sent += len(p.records)
	err := p.d.remember(ctx, p.places)
	p.records, p.places, p.bytes = nil, nil, 0
	return err
}

func comparePlaces(a, b letterPlace) int {
	return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// retriedSuffix, after the name of the dead-letter topic, makes the name of the
// topic that remembers which letters were sent again.
const retriedSuffix = ".retried"

// remember writes down that letters were sent again: a line for each span of
// neighbours.
func (d *DeadLetters) remember(ctx context.Context, places []letterPlace) error {
	in, err := d.markers(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(places, comparePlaces)
	var text strings.Builder
	for i, p := range places {
		if i > 0 && places[i-1] == (letterPlace{p.partition, p.offset - 1}) {
			continue
		}
		last := i
		for last+1 < len(places) && places[last+1] == (letterPlace{p.partition, places[last].offset + 1}) {
			last++
		}
		fmt.Fprintf(&text, "%d %d %d\n", p.partition, p.offset, places[last].offset)
	}
	err = in.Append(ctx, []Record{{Value: []byte(text.String()), Time: d.o.Now()}})
	if err != nil {
		return fmt.Errorf("remember %d dead letters that were sent again: %w", len(places), err)
	}
	return nil
}

// markers returns the way into the topic of what was sent again, which is made
// when it is missing.
func (d *DeadLetters) markers(ctx context.Context) (*Intake, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marker != nil {
		return d.marker, nil
	}
	t := d.o.Topic
	t.Name, t.Partitions, t.MaxMessageBytes = d.topic+retriedSuffix, 1, 0
	if err := d.link.ensureTopic(ctx, t); err != nil {
		return nil, err
	}
	in, err := NewIntake(IntakeOptions{Connection: d.o.Connection, Topic: t.Name, Now: d.o.Now, Log: d.o.Log})
	if err != nil {
		return nil, err
	}
	d.marker = in
	return in, nil
}

// recall reads what was sent again since the last time.
func (d *deadView) recall(ctx context.Context) error {
	topic := d.topic + retriedSuffix
	ends, err := d.ends(ctx, topic)
	if err != nil {
		return err
	}
	d.retried.mu.Lock()
	defer d.retried.mu.Unlock()
	for _, e := range ends {
		if e.Partition != 0 {
			continue
		}
		from := max(d.retried.next, e.FirstOffset)
		if e.LastOffset < d.retried.next { // the log was made anew
			from, d.retried.spans = e.FirstOffset, nil
		}
		err := d.scan(ctx, topic, 0, from, e.LastOffset, func(r *record) error {
			d.retried.read(string(r.value))
			return nil
		})
		if err != nil {
			return err
		}
		d.retried.next = e.LastOffset
	}
	return nil
}

// retried knows which letters were sent again. It is safe for use by several
// goroutines.
type retried struct {
	mu    sync.Mutex
	next  int64                // offset of its topic that was not read yet
	spans map[int][]letterSpan // by partition, in order, none touching another
}

// letterSpan are offsets from the first to the last, which is one of them.
type letterSpan struct{ first, last int64 }

func (r *retried) has(partition int, offset int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := r.spans[partition]
	i := sort.Search(len(spans), func(i int) bool { return spans[i].last >= offset })
	return i < len(spans) && spans[i].first <= offset
}

// read takes in the lines of one record. What is no such line was not written
// by us. The caller holds the mutex.
func (r *retried) read(text string) {
	for line := range strings.Lines(text) {
		var partition int
		var s letterSpan
		if n, err := fmt.Sscanf(line, "%d %d %d", &partition, &s.first, &s.last); n == 3 && err == nil && s.first <= s.last {
			r.add(partition, s)
		}
	}
}

// add joins a span with those that it touches.
func (r *retried) add(partition int, s letterSpan) {
	if r.spans == nil {
		r.spans = map[int][]letterSpan{}
	}
	spans := r.spans[partition]
	from := sort.Search(len(spans), func(i int) bool { return spans[i].last >= s.first-1 })
	to := from
	for ; to < len(spans) && spans[to].first <= s.last+1; to++ {
		s = letterSpan{min(s.first, spans[to].first), max(s.last, spans[to].last)}
	}
	r.spans[partition] = slices.Replace(spans, from, to, s)
}
