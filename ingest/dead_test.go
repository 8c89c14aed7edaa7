package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/ingest"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func deadOf(t *testing.T, l log, topic ingest.Topic, in *ingest.Intake) *ingest.DeadLetters {
	t.Helper()
	d, err := ingest.NewDeadLetters(ingest.DeadOptions{Connection: l.connection(), Topic: topic, Intake: in, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// bodies returns what is listed, page by page, in order.
func bodies(t *testing.T, d *ingest.DeadLetters, limit int) (all []string) {
	t.Helper()
	cursor := ""
	for {
		page, next, err := d.List(t.Context(), "", limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			all = append(all, string(l.Body))
		}
		if next == "" {
			return all
		}
		if len(page) != limit {
			t.Fatalf("a page in the middle has %d letters; want %d", len(page), limit)
		}
		cursor = next
	}
}

func TestDeadLettersAreListedNewestFirstAndSentAgainOnce(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		d := deadOf(t, l, topic, in)
		if got := bodies(t, d, 10); len(got) != 0 {
			t.Errorf("before there is a dead-letter topic: %q", got)
		}
		// The readings are two hours ahead of their arrival plus a day; sent again later they are fine.
		var want []string
		for i := range 25 {
			r := reading("ahead", i, i)
			r.Time = epoch.Add(-26 * time.Hour)
			mustAppend(t, in, r)
			want = append(want, string(r.Value))
		}
		long := `{"device":"x","ts":"` + strings.Repeat("y", 10_000) + `"}`
		mustAppend(t, in, ingest.Record{Key: []byte("x"), Value: []byte(long), Time: epoch})
		consume(t, l, topic, s)
		deadLetters(t, l, topic, 26)
		slices.Reverse(want)
		listed := bodies(t, d, 7)
		if i := slices.Index(listed, long[:4096]); i < 0 || len(listed) != 26 {
			t.Fatalf("%d letters are listed, the long one at %d: %.100q", len(listed), i, listed)
		} else if got := slices.Delete(slices.Clone(listed), i, i+1); !slices.Equal(got, want) {
			t.Errorf("listed\n%q\nwant\n%q", got, want)
		}

		page, _, err := d.List(t.Context(), "", 26, "")
		if err != nil {
			t.Fatal(err)
		}
		if only, next, err := d.List(t.Context(), ingest.BadTS, 26, ""); err != nil || next != "" || len(only) != 1 || only[0].Reason != ingest.BadTS {
			t.Errorf("those of one reason: %.200v, %q, %v; want the long one", only, next, err)
		}
		i := slices.IndexFunc(page, func(l ingest.DeadLetter) bool { return l.Reason == ingest.BadTS })
		whole, err := d.Find(t.Context(), page[i].ID)
		if err != nil || string(whole.Body) != long || whole.Cut || string(whole.Key) != "x" || whole.Detail == "" || !whole.At.Equal(epoch) {
			t.Errorf("found %.200v, %v", whole, err)
		}

		first := page[slices.IndexFunc(page, func(l ingest.DeadLetter) bool { return l.Reason == ingest.TSTooNew })]
		retry := func(q ingest.Retry, sent, skipped int) {
			t.Helper()
			done, err := d.Retry(t.Context(), q)
			if err != nil || done.Sent != sent || done.Skipped != skipped || len(done.Why) != skipped {
				t.Errorf("retry %+v: %+v, %v; want %d sent and %d skipped", q, done, err, sent, skipped)
			}
		}
		retry(ingest.Retry{IDs: []string{first.ID, first.ID}}, 1, 0)
		eventually(t, "the reading is in the store", func() bool { return s.len() == 1 })
		retry(ingest.Retry{IDs: []string{first.ID}}, 0, 1)
		if got := bodies(t, d, 7); len(got) != 25 || slices.Contains(got, string(first.Body)) {
			t.Errorf("listed after the retry: %q", got)
		}
		retry(ingest.Retry{Reason: ingest.TSTooNew}, 24, 0)
		eventually(t, "all readings are in the store", func() bool { return s.len() == 25 })
		other := deadOf(t, l, topic, nil)
		if got := bodies(t, other, 7); !slices.Equal(got, []string{long[:4096]}) {
			t.Errorf("another process lists %.100q; want the long one", got)
		}
		if _, err := other.Retry(t.Context(), ingest.Retry{}); err == nil {
			t.Error("a process without a way into the log sends letters again")
		}
		retry(ingest.Retry{}, 1, 0)
		deadLetters(t, l, topic, 27)
		if got := bodies(t, other, 7); len(got) != 1 {
			t.Errorf("what was refused again: %.100q; want one letter", got)
		}
		if found, err := other.Find(t.Context(), first.ID); err != nil || !found.Retried {
			t.Errorf("found %+v, %v; want that it was sent again", found, err)
		}
	})
}

func TestLettersThatAreNotThere(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic := topicOf(t, l)
		in := intake(t, l, topic)
		d := deadOf(t, l, topic, in)
		for _, id := range []string{"", "7", "0-0", "-1-2", "a-b", "0-99999999999999999999"} {
			if _, err := d.Find(t.Context(), id); !errors.Is(err, ingest.ErrNoLetter) {
				t.Errorf("find %q: %v; want ErrNoLetter", id, err)
			}
			if _, err := d.Retry(t.Context(), ingest.Retry{IDs: []string{id}}); !errors.Is(err, ingest.ErrNoLetter) {
				t.Errorf("retry %q: %v; want ErrNoLetter", id, err)
			}
		}
		s := newStore()
		for i := range 3 {
			mustAppend(t, in, ingest.Record{Value: fmt.Appendf(nil, "bad %d", i)})
		}
		consume(t, l, topic, s)
		deadLetters(t, l, topic, 3)
		if _, _, err := d.List(t.Context(), "", 5, "x"); !errors.Is(err, ingest.ErrCursor) {
			t.Errorf("a made-up cursor: %v; want ErrCursor", err)
		}
		if list, _, err := d.List(t.Context(), "", 5, "2"); err != nil || len(list) != 2 {
			t.Errorf("from the middle: %v, %v; want two letters", list, err)
		}
	})
}

func TestArrowRecordsGoTheWayOfAllOthers(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		schema := arrow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: arrow.PrimitiveTypes.Int64}, {Name: "in", Type: arrow.PrimitiveTypes.Int64}}, nil)
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		b.Field(0).(*array.StringBuilder).AppendValues([]string{"a", "b", "c"}, nil)
		b.Field(1).(*array.Int64Builder).AppendValues([]int64{epoch.UnixMilli(), epoch.UnixMilli(), 7}, nil)
		b.Field(2).(*array.Int64Builder).AppendValues([]int64{5, 6, 7}, nil)
		var text bytes.Buffer
		w := ipc.NewWriter(&text, ipc.WithSchema(schema))
		if err := errors.Join(w.Write(b.NewRecord()), w.Close()); err != nil {
			t.Fatal(err)
		}
		in := intake(t, l, topic)
		mustAppend(t, in, ingest.Record{Key: []byte("gateway"), Value: text.Bytes(), ContentType: "application/vnd.apache.arrow.stream"},
			ingest.Record{Key: []byte("gateway"), Value: []byte("ARROW"), ContentType: "application/vnd.apache.arrow.stream"})
		consume(t, l, topic, s)
		eventually(t, "the rows are in the store", func() bool { return s.len() == 2 })
		if _, people := s.totals(); people != 11 {
			t.Errorf("%d people; want 11", people)
		}
		deadLetters(t, l, topic, 2)
		d := deadOf(t, l, topic, in)
		list, _, err := d.List(t.Context(), "", 10, "")
		if err != nil || len(list) != 2 {
			t.Fatalf("letters %+v, %v; want two", list, err)
		}
		for _, letter := range list {
			switch letter.Reason {
			case ingest.BadArrow:
				if letter.ContentType != "application/vnd.apache.arrow.stream" || string(letter.Body) != "ARROW" {
					t.Errorf("letter %+v", letter)
				}
			case ingest.TSTooOld:
				if string(letter.Body) != `{"device":"c","in":7,"ts":7}` || letter.Index != 2 {
					t.Errorf("letter %+v: %s", letter, letter.Body)
				}
			default:
				t.Errorf("letter %+v", letter)
			}
		}
	})
}
