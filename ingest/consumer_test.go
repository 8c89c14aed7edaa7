package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/telemetry"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

func TestReadingsAreInTheStoreOnceWithTheirLastValue(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		records, people := fleet(0, 50)
		mustAppend(t, in, records...)
		mustAppend(t, in, records[:500]...) // sent twice
		mustAppend(t, in, reading("FC-07", 3, 1000))
		people += 1000 - 10
		mustAppend(t, in, ingest.Record{Key: []byte("FC-07"), Value: []byte(`{"device":"FC-07","ts":"2026-03-27T11:00:00Z","kind":"heartbeat","temp":41.5}`)})
		begin := time.Now()
		c, stop := consume(t, l, topic, s)
		eventually(t, "everything is in the store", func() bool { return s.len() == 2001 && caughtUp(c, begin) })
		if n, got := s.totals(); n != 2001 || got != people {
			t.Errorf("got %d readings with %d people; want 2001 with %d", n, got, people)
		}
		if v := s.rows[identity{telemetry.IDOf("FC-07"), telemetry.Heartbeat, epoch.UnixMilli()}]; v.temp != 41.5 {
			t.Errorf("heartbeat is %+v; want temp 41.5", v)
		}
		if len(s.devices) != 40 {
			t.Errorf("registered %d devices; want 40", len(s.devices))
		}
		eventually(t, "the watermark passes the beginning, as nothing lags", func() bool { return c.Watermark(time.Now()).After(begin) })
		stop()
		again, _ := consume(t, l, topic, s)
		mustAppend(t, in, reading("FC-99", 0, 1))
		eventually(t, "the reading after a restart", func() bool { return s.len() == 2002 && caughtUp(again, begin) })
		if s.inserted != 2503 {
			t.Errorf("inserted %d rows; want 2503: what is committed is not read again", s.inserted)
		}
	})
}

func TestRefusedObjectsBecomeDeadLettersAndTheirNeighboursGoOn(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		mustAppend(t, in,
			ingest.Record{Key: []byte("gateway"), Time: epoch, Value: []byte(`[{"device":"a","ts":"2026-03-27T11:00:00Z","in":1},{"device":"b","ts":"soon","in":1},{"device":"c","ts":"2026-03-27T11:00:00Z","in":1}]`)},
			ingest.Record{Key: []byte("gateway"), Value: []byte("\xff\xfe")},
			ingest.Record{Key: []byte("gateway"), Value: []byte{}},
			reading("d", 0, 1))
		w := kafka.Writer{Addr: kafka.TCP(l.brokers...), Topic: topic.Name, Transport: &kafka.Transport{}, RequiredAcks: kafka.RequireAll}
		defer w.Close()
		arrow := kafka.Message{Key: []byte("x"), Value: []byte("ARROW"), Headers: []kafka.Header{{Key: "content-type", Value: []byte("application/vnd.apache.arrow.stream")}}}
		if err := w.WriteMessages(t.Context(), arrow, kafka.Message{Value: nil}); err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewRegistry()
		consume(t, l, topic, s, func(o *ingest.Options) { o.Registerer = registry })
		letters := deadLetters(t, l, topic, 5)
		eventually(t, "the neighbours are in the store", func() bool { return s.len() == 3 })
		reasons := map[string]int{}
		for _, m := range letters {
			reasons[header(m, "reason")]++
			if header(m, "detail") == "" || header(m, "source-partition") == "" || header(m, "source-offset") == "" {
				t.Errorf("letter %q lacks a header: %v", m.Value, m.Headers)
			}
			if header(m, "reason") == ingest.BadTS && (string(m.Value) != `{"device":"b","ts":"soon","in":1}` || string(m.Key) != "gateway" || !m.Time.Equal(epoch)) {
				t.Errorf("got letter %q of key %q at %s", m.Value, m.Key, m.Time)
			}
			if header(m, "reason") == ingest.BadArrow && string(m.Value) != "ARROW" {
				t.Errorf("got letter %q; want the whole record", m.Value)
			}
		}
		if reasons[ingest.BadTS] != 1 || reasons[ingest.BadJSON] != 3 || reasons[ingest.BadArrow] != 1 {
			t.Errorf("reasons %v", reasons)
		}
		eventually(t, "they are counted", func() bool {
			return metric(t, registry, "belfry_ingest_rejected_total", ingest.BadJSON) == 3 && metric(t, registry, "belfry_ingest_readings_total", "count") == 3
		})
	})
}

// metric returns the value of a counter with that label value; "": of one without labels.
func metric(t *testing.T, r *prometheus.Registry, name, label string) float64 {
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestABatchThatCannotBeWrittenIsTriedAgainWhileOtherPartitionsGoOn(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		var broken atomic.Bool
		broken.Store(true)
		stuck := telemetry.IDOf("FC-00")
		s.fail = func(b *telemetry.Batch) error {
			for _, d := range b.Counts.Device {
				if d == stuck && broken.Load() {
					return errors.New("disk full")
				}
			}
			return nil
		}
		records, people := fleet(0, 10)
		mustAppend(t, intake(t, l, topic), records...)
		c, _ := consume(t, l, topic, s)
		var problem ingest.Problem
		eventually(t, "the failure shows and others are written", func() bool {
			for _, p := range c.Status().Problems {
				if p.Step == "insert" {
					problem = p
				}
			}
			return problem.Attempts > 2 && s.len() > 100
		})
		if !strings.Contains(problem.Error, "disk full") || problem.Partition < 0 {
			t.Errorf("problem %+v", problem)
		}
		if w := c.Watermark(time.Now()); time.Since(w) < 10*time.Millisecond {
			t.Errorf("watermark %s passes what is not written", w)
		}
		broken.Store(false)
		eventually(t, "the rest is written", func() bool { return s.len() == len(records) })
		if _, got := s.totals(); got != people {
			t.Errorf("%d people; want %d", got, people)
		}
		eventually(t, "the problem is gone", func() bool { return len(c.Status().Problems) == 0 })
	})
}

func TestRestartsInTheMiddleLoseNothing(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		var people uint64
		total := 0
		for round := range 4 {
			records, more := fleet(round*20, round*20+20)
			people += more
			total += len(records)
			stopAt := s.inserts + 2 + round
			_, stop := consume(t, l, topic, s, func(o *ingest.Options) { o.MaxReadings = 37 })
			mustAppend(t, in, records...)
			eventually(t, "some inserts are done", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.inserts >= stopAt })
			stop()
		}
		consume(t, l, topic, s)
		eventually(t, "everything is in the store", func() bool { return s.len() == total })
		if _, got := s.totals(); got != people {
			t.Errorf("%d people; want %d", got, people)
		}
	})
}

// What Kafka's own tools do when a group's offsets are reset, in a group that nobody
// is in: the way out when the warehouse has lost what it once had.
func TestOffsetsThatAreSetBackHaveEverythingReadAgainToNoEffect(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		records, people := fleet(0, 20)
		mustAppend(t, intake(t, l, topic), records...)
		_, stop := consume(t, l, topic, s)
		eventually(t, "everything is in the store", func() bool { return s.len() == len(records) })
		stop()
		lost := 0
		for id := range s.rows { // as a part that is gone takes them along
			if lost++; lost <= 100 {
				delete(s.rows, id)
			}
		}
		var back []kafka.OffsetCommit
		for p := range 4 {
			back = append(back, kafka.OffsetCommit{Partition: p, Offset: 0})
		}
		client := kafka.Client{Addr: kafka.TCP(l.brokers...), Transport: new(kafka.Transport)}
		res, err := client.OffsetCommit(t.Context(), &kafka.OffsetCommitRequest{GroupID: "test-" + topic.Name, GenerationID: -1,
			Topics: map[string][]kafka.OffsetCommit{topic.Name: back}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.Topics[topic.Name] {
			if p.Error != nil {
				t.Fatalf("partition %d: %v", p.Partition, p.Error)
			}
		}
		before := s.inserted
		consume(t, l, topic, s)
		eventually(t, "everything is read again", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.inserted == before+len(records) })
		if rows, got := s.totals(); rows != len(records) || got != people {
			t.Errorf("%d readings with %d people; want %d with %d", rows, got, len(records), people)
		}
	})
}

func TestTwoConsumersShareThePartitionsAndTakeOver(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		first, stopFirst := consume(t, l, topic, s)
		a, peopleA := fleet(0, 20)
		mustAppend(t, in, a...)
		eventually(t, "the first has everything", func() bool { return s.len() == 800 })
		second, _ := consume(t, l, topic, s)
		eventually(t, "they share", func() bool { return assigned(first) == 2 && assigned(second) == 2 })
		b, peopleB := fleet(20, 40)
		mustAppend(t, in, b...)
		eventually(t, "both write", func() bool { return s.len() == 1600 })
		eventually(t, "both have committed", func() bool { return first.Status().Readings > 800 && second.Status().Readings > 0 })
		now := time.Now()
		eventually(t, "each sees that nothing lags, in the partitions of the other too", func() bool {
			return caughtUp(first, now) && caughtUp(second, now) && len(second.Status().Partitions) == 4
		})
		stopFirst()
		eventually(t, "the second takes over", func() bool { return assigned(second) == 4 })
		c, peopleC := fleet(40, 50)
		mustAppend(t, in, c...)
		eventually(t, "the second writes all", func() bool { return s.len() == 2000 })
		if _, got := s.totals(); got != peopleA+peopleB+peopleC {
			t.Errorf("%d people; want %d", got, peopleA+peopleB+peopleC)
		}
	})
}

func assigned(c *ingest.Consumer) (n int) {
	for _, p := range c.Status().Partitions {
		if p.Assigned {
			n++
		}
	}
	return n
}

func TestARecordOfTenMegabytes(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		var lines bytes.Buffer
		n := 0
		for ; lines.Len() < 10<<20; n++ {
			fmt.Fprintf(&lines, `{"device":"FC-%d","ts":%d,"in":1,"note":"%0*d"}`+"\n", n%100, epoch.UnixMilli()+int64(n), 40, n)
		}
		w := kafka.Writer{Addr: kafka.TCP(l.brokers...), Topic: topic.Name, Transport: &kafka.Transport{}, RequiredAcks: kafka.RequireAll, BatchBytes: 15 << 20}
		defer w.Close()
		if err := w.WriteMessages(t.Context(), kafka.Message{Key: []byte("big"), Value: lines.Bytes()}); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, intake(t, l, topic), reading("after", 0, 1))
		t.Run("is taken", func(t *testing.T) {
			consume(t, l, topic, s, func(o *ingest.Options) { o.Group = "takes"; o.FetchBytes = 1 << 20 })
			eventually(t, "every line is in the store", func() bool { return s.len() == n+1 })
		})
		t.Run("is refused when larger than allowed", func(t *testing.T) {
			s := newStore()
			c, _ := consume(t, l, topic, s, func(o *ingest.Options) { o.Group = "refuses"; o.FetchBytes = 1 << 20; o.MaxRecordBytes = 1 << 20 })
			letter := deadLetters(t, l, topic, 1)[0]
			if header(letter, "reason") != ingest.RecordTooLarge || header(letter, "cut-from-bytes") != fmt.Sprint(lines.Len()) {
				t.Errorf("letter has headers %s", letter.Headers)
			}
			eventually(t, "its neighbour is in the store", func() bool { return s.len() == 1 && c.Status().Rejected == 1 })
		})
	})
}

func TestAFloodOfBadRecordsIsRefusedWithNothingLostBesideIt(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		records, people := fleet(0, 5)
		var flood []ingest.Record
		n := 50_000
		if text := os.Getenv("BELFRY_TEST_FLOOD"); text != "" { // a million takes long
			n, _ = strconv.Atoi(text)
		}
		for i := range n {
			flood = append(flood, ingest.Record{Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, `{"device":"FC-%d","ts":`, i)})
			if i%(n/200) == 0 {
				flood = append(flood, records[i/(n/200)])
			}
		}
		mustAppend(t, intake(t, l, topic), flood...)
		begin := time.Now()
		c, _ := consume(t, l, topic, s)
		eventually(t, "every bad record is refused", func() bool { return c.Status().Rejected == uint64(n) && caughtUp(c, begin) })
		if rows, got := s.totals(); rows != len(records) || got != people {
			t.Errorf("got %d readings with %d people; want %d with %d", rows, got, len(records), people)
		}
		t.Logf("%d took %s", n, time.Since(begin))
	})
}

func TestEveryCompression(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		records, people := fleet(0, 10)
		for i, method := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
			w := kafka.Writer{Addr: kafka.TCP(l.brokers...), Topic: topic.Name, Transport: &kafka.Transport{}, RequiredAcks: kafka.RequireAll, Compression: method, BatchTimeout: time.Millisecond}
			var messages []kafka.Message
			for _, r := range records[i*80 : i*80+80] {
				messages = append(messages, kafka.Message{Key: r.Key, Value: r.Value})
			}
			if err := w.WriteMessages(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			w.Close()
		}
		consume(t, l, topic, s)
		eventually(t, "everything is in the store", func() bool { return s.len() == len(records) })
		if _, got := s.totals(); got != people {
			t.Errorf("%d people; want %d", got, people)
		}
	})
}

func TestNewDevicesAreRegisteredBeforeTheirReadings(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		var tries atomic.Int32
		refuse := func(ctx context.Context, devices []ingest.NewDevice) error {
			if tries.Add(1) < 4 {
				return errors.New("registry is away")
			}
			return s.register(ctx, devices)
		}
		s.fail = func(b *telemetry.Batch) error {
			for _, d := range b.Counts.Device {
				if !s.knows(d) {
					t.Errorf("a reading of %d before its device", d)
				}
			}
			return nil
		}
		records, _ := fleet(0, 2)
		mustAppend(t, intake(t, l, topic), records...)
		consume(t, l, topic, s, func(o *ingest.Options) { o.Register = refuse })
		eventually(t, "everything is in the store", func() bool { return s.len() == 80 && len(s.devices) == 40 })
	})
}

func (s *store) knows(id telemetry.DeviceID) bool {
	for name := range s.devices {
		if telemetry.IDOf(name) == id {
			return true
		}
	}
	return false
}

func TestOfBatchesThatFollowEachOtherEveryFourthIsCommitted(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		var records []ingest.Record
		for minute := range 100 {
			records = append(records, reading("a", minute, 1))
		}
		mustAppend(t, in, records...)
		client := &kafka.Client{Addr: kafka.TCP(l.brokers...)}
		var got atomic.Value
		got.Store("")
		c, _ := consume(t, l, topic, s, func(o *ingest.Options) {
			o.MaxReadings, o.MaxDelay = 10, time.Minute
			sink, group := o.Sink, o.Group
			o.Sink = func(ctx context.Context, b *telemetry.Batch) error {
				res, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic.Name: {0, 1, 2, 3}}})
				if err != nil {
					return err
				}
				committed := int64(0)
				for _, p := range res.Topics[topic.Name] {
					committed = max(committed, p.CommittedOffset)
				}
				got.Store(fmt.Sprintf("%s%d %t, ", got.Load(), committed, b.More))
				return sink(ctx, b)
			}
		})
		eventually(t, "all is committed", func() bool { return s.len() == 100 && caughtUp(c, time.Time{}) })
		if want := "0 true, 0 true, 0 true, 0 false, 40 true, 40 true, 40 true, 40 false, 80 true, 80 false, "; got.Load() != want {
			t.Errorf("before each batch was committed, and more followed: %s; want %s", got.Load(), want)
		}
	})
}
