package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// DeadLetter is a record, or an object of one, that was refused.
type DeadLetter struct {
	ID          string    // its place in the dead-letter topic: PARTITION-OFFSET
	At          time.Time // arrival of the record
	Reason      string    // one of Reasons
	Detail      string    // what is wrong, and what is wanted
	Partition   int       // of the record; -1 when the letter does not say
	Offset      int64     // of the record; -1 when the letter does not say
	Index       int       // which object of the record, from 0
	Key         []byte    // of the record
	Body        []byte    // the object, or the record as a whole
	ContentType string    // of the body when it is no JSON
	Cut         bool      // the body is not all there, for it was too large for the topic
	Retried     bool      // it was sent again, see DeadLetters.Retry
}

// DeadOptions are the settings of DeadLetters.
type DeadOptions struct {
	Connection Connection
	Topic      Topic            // whose dead letters they are
	Intake     *Intake          // of that topic, where letters are sent again; nil: they can't be
	Now        func() time.Time // the arrival of what is sent again
	Log        *slog.Logger     // nil: say nothing
}

// DeadLetters reads what was refused, and sends it again. It is safe for use by
// several goroutines, and asks the log each time: any process can have one.
type DeadLetters struct {
	o       DeadOptions
	link    *link
	topic   string // of the letters
	retried retried

	mu     sync.Mutex // guards marker
	marker *Intake    // nil until something was sent again
}

// ErrNoLetter says that there is no dead letter of that ID.
var ErrNoLetter = errors.New("there is no such dead letter")

// ErrCursor says that a cursor did not come from List.
var ErrCursor = errors.New("the cursor is none of the list of dead letters")

// NewDeadLetters checks the options. It does not connect.
func NewDeadLetters(o DeadOptions) (*DeadLetters, error) {
	if o.Topic.Name == "" || o.Now == nil {
		return nil, errors.New("dead letters need a topic and a clock")
	}
	l, err := o.Connection.open()
	if err != nil {
		return nil, err
	}
	return &DeadLetters{o: o, link: l, topic: o.Topic.Name + deadSuffix}, nil
}

// deadView is one look at the letters. It has connections of its own, as those
// that are kept remember for seconds that a topic was not there.
type deadView struct {
	*DeadLetters
	client *kafka.Client
	reason string // only letters of this reason are listed; "": all
}

func (d *DeadLetters) view() (v *deadView, end func()) {
	transport := d.link.transport()
	return &deadView{DeadLetters: d, client: &kafka.Client{Addr: d.link.addr(), Transport: transport, Timeout: requestTimeout}}, transport.CloseIdleConnections
}

// Close closes the connections.
func (d *DeadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marker == nil {
		return nil
	}
	return d.marker.Close()
}

// listedBody is how much of a body List gives.
const listedBody = 4096

// List returns the letters that were not sent again, those of one reason unless it
// is "", the newest of each partition first, at most limit of them, with bodies cut
// at 4096 bytes. It goes
// on where the cursor of the page before says; the cursor is "" after the last.
// No letter is left out or given twice because others are written meanwhile.
func (d *DeadLetters) List(ctx context.Context, reason string, limit int, cursor string) (letters []DeadLetter, next string, err error) {
	v, end := d.view()
	defer end()
	v.reason = reason
	tails, err := v.tails(ctx, cursor)
	if err != nil {
		return nil, "", err
	}
	if err := v.recall(ctx); err != nil {
		return nil, "", err
	}
	for len(letters) < limit {
		t, err := v.newest(ctx, tails)
		if err != nil {
			return nil, "", err
		}
		if t == nil {
			return letters, "", nil
		}
		letters = append(letters, t.letters[0])
		t.letters = t.letters[1:]
	}
	if t, err := v.newest(ctx, tails); t == nil || err != nil {
		return letters, "", err
	}
	return letters, cursorOf(tails), nil
}

// tail reads a partition from its end to its beginning.
type tail struct {
	partition  int
	start, end int64        // what is still to be read
	letters    []DeadLetter // read and not yet given, the newest first
	offsets    []int64      // of the letters
}

// tails are the partitions as a cursor left them, or whole.
func (d *deadView) tails(ctx context.Context, cursor string) ([]*tail, error) {
	ends, err := d.ends(ctx, d.topic)
	if err != nil {
		return nil, err
	}
	var tails []*tail
	for _, e := range ends {
		tails = append(tails, &tail{partition: e.Partition, start: e.FirstOffset, end: e.LastOffset})
	}
	if cursor == "" {
		return tails, nil
	}
	places := strings.Split(cursor, ",")
	for i, t := range tails {
		if i >= len(places) {
			t.end = t.start // partitions that were added since hold newer letters only
			continue
		}
		at, err := strconv.ParseInt(places[i], 10, 64)
		if err != nil || at < 0 {
			return nil, ErrCursor
		}
		t.end = min(t.end, at)
	}
	return tails, nil
}

// cursorOf says where each tail has got to.
func cursorOf(tails []*tail) string {
	var places []string
	for _, t := range tails {
		at := t.end
		if len(t.letters) > 0 {
			at = t.offsets[len(t.offsets)-len(t.letters)] + 1
		}
		places = append(places, strconv.FormatInt(max(at, 0), 10))
	}
	return strings.Join(places, ",")
}

// ends asks for the first and the next offset of each partition, in their
// order; none when the topic does not exist, as nothing was refused yet.
func (d *deadView) ends(ctx context.Context, topic string) ([]kafka.PartitionOffsets, error) {
	partitions, err := partitionsOf(ctx, d.client, topic)
	if errors.Is(err, ErrMissingTopic) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ask []kafka.OffsetRequest
	for _, p := range partitions {
		ask = append(ask, kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
	}
	res, err := d.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: ask}, IsolationLevel: kafka.ReadCommitted})
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of %s: %w", topic, explain(err))
	}
	ends := res.Topics[topic]
	for _, e := range ends {
		if e.Error != nil {
			return nil, fmt.Errorf("ask for the end of %s/%d: %w", topic, e.Partition, explain(e.Error))
		}
	}
	slices.SortFunc(ends, func(a, b kafka.PartitionOffsets) int { return cmp.Compare(a.Partition, b.Partition) })
	return ends, nil
}

// newest returns the tail with the newest letter; nil when none has any.
func (d *deadView) newest(ctx context.Context, tails []*tail) (best *tail, err error) {
	for _, t := range tails {
		if err := d.fill(ctx, t); err != nil {
			return nil, err
		}
		if len(t.letters) > 0 && (best == nil || t.letters[0].At.After(best.letters[0].At)) {
			best = t
		}
	}
	return best, nil
}

// fill reads towards the beginning until there is a letter, in growing steps:
// millions may have been sent again.
func (d *deadView) fill(ctx context.Context, t *tail) error {
	for step := int64(1000); len(t.letters) == 0 && t.end > t.start; step = min(2*step, 64_000) {
		from := max(t.start, t.end-step)
		t.letters, t.offsets = nil, nil
		err := d.scan(ctx, d.topic, t.partition, from, t.end, func(r *record) error {
			if d.retried.has(t.partition, r.offset) {
				return nil
			}
			if l := letterOf(t.partition, r, listedBody); d.reason == "" || l.Reason == d.reason {
				t.letters = append(t.letters, l)
				t.offsets = append(t.offsets, r.offset)
			}
			return nil
		})
		if err != nil {
			return err
		}
		slices.Reverse(t.letters)
		slices.Reverse(t.offsets)
		t.end = from
	}
	return nil
}

// Find returns one letter with its whole body. ErrNoLetter when there is none.
func (d *DeadLetters) Find(ctx context.Context, id string) (DeadLetter, error) {
	p, err := parsePlace(id)
	if err != nil {
		return DeadLetter{}, err
	}
	v, end := d.view()
	defer end()
	if err := v.recall(ctx); err != nil {
		return DeadLetter{}, err
	}
	ends, err := v.ends(ctx, d.topic)
	if err != nil {
		return DeadLetter{}, err
	}
	return v.find(ctx, ends, p)
}

// letterPlace is where a letter is in the dead-letter topic.
type letterPlace struct {
	partition int
	offset    int64
}

func parsePlace(id string) (p letterPlace, err error) {
	partition, offset, _ := strings.Cut(id, "-")
	var err1, err2 error
	p.partition, err1 = strconv.Atoi(partition)
	p.offset, err2 = strconv.ParseInt(offset, 10, 64)
	if err1 != nil || err2 != nil || p.partition < 0 || p.offset < 0 {
		return p, fmt.Errorf("%w: %q; want PARTITION-OFFSET, as in the list", ErrNoLetter, id)
	}
	return p, nil
}

func (p letterPlace) String() string { return fmt.Sprintf("%d-%d", p.partition, p.offset) }

func (d *deadView) find(ctx context.Context, ends []kafka.PartitionOffsets, p letterPlace) (letter DeadLetter, err error) {
	for _, e := range ends {
		if e.Partition != p.partition || p.offset < e.FirstOffset || p.offset >= e.LastOffset {
			continue
		}
		err = d.scan(ctx, d.topic, p.partition, p.offset, p.offset+1, func(r *record) error {
			letter = letterOf(p.partition, r, len(r.value))
			letter.Retried = d.retried.has(p.partition, r.offset)
			return nil
		})
	}
	if err == nil && letter.ID == "" {
		err = fmt.Errorf("%w: %s", ErrNoLetter, p)
	}
	return letter, err
}

// scan hands over the records of a partition in the offsets [from, to). A record
// is valid only during the call.
func (d *deadView) scan(ctx context.Context, topic string, partition int, from, to int64, each func(*record) error) error {
	f := fetcher{link: d.link, client: d.client, topic: topic, partition: partition, maxBytes: 1 << 20}
	defer f.close()
	var set records
	var rec record
	for from < to {
		res, err := f.fetch(ctx, from, fetchWait)
		if err != nil {
			return err
		}
		set.reset(res.set, from, res.aborted)
		for {
			err := set.read(&rec)
			var broken *batchError
			if errors.As(err, &broken) {
				continue // nobody can read it; the others are of use
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read %s/%d: %w", topic, partition, err)
			}
			if rec.offset >= to {
				return nil
			}
			if err := each(&rec); err != nil {
				return err
			}
		}
		if set.next == from && len(res.set) > 0 {
			f.maxBytes *= 2 // an old broker cut even the first batch
		}
		from = set.next
	}
	return nil
}

// letterOf copies a letter out of its record.
func letterOf(partition int, r *record, limit int) DeadLetter {
	l := DeadLetter{
		ID: letterPlace{partition, r.offset}.String(), At: time.UnixMilli(r.timestamp).UTC(), Partition: -1, Offset: -1,
		Key: slices.Clone(r.key), Body: slices.Clone(r.value[:min(len(r.value), limit)]), Cut: len(r.value) > limit,
	}
	eachHeader(r.headers, func(name, text []byte) {
		switch string(name) {
		case "reason":
			l.Reason = string(text)
		case "detail":
			l.Detail = string(text)
		case "source-partition":
			l.Partition = int(number64(text))
		case "source-offset":
			l.Offset = number64(text)
		case "source-index":
			l.Index = int(number64(text))
		case contentTypeHeader:
			l.ContentType = string(text)
		case "cut-from-bytes":
			l.Cut = true
		}
	})
	return l
}

func number64(text []byte) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
