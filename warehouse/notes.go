package warehouse

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ClickHouse/ch-go/proto"
)

// notes keeps what is to be noted of readings until the next batch after which
// something is committed, of whichever partition: making a part costs the engine
// more than what a batch has to note.
type notes struct {
	turn chan struct{} // of capacity 1: whoever writes has put something in

	mu sync.Mutex
	waiting
}

// waiting is what has yet to be noted, as Native blocks that nobody changes any more.
// Noting it again changes nothing: neither does the greatest arrival, nor does a
// weight come to 0, since it is odd.
type waiting struct{ latest, dirty [][]byte }

// note notes what the batch's readings, which are in their tables by now, say of
// arrivals, and that their hours are to be made anew. It comes after the readings:
// so whoever makes an hour of what he can read, after he has seen the note, makes
// it of these. When more follows it waits; otherwise nothing that was to be noted
// when this began waits any longer, and nil says that all of it is in the tables.
func (w *Warehouse) note(ctx context.Context, e *encoder, more bool) error {
	if n := len(e.heard.lateDevice); n > 0 {
		if err := w.insertBlock(ctx, e, "raw_late", n, e.heard.late()); err != nil {
			return fmt.Errorf("note %d late readings: %w", n, err)
		}
	}
	latest, dirty := e.heard.latest(), e.touched.columns()
	var own waiting
	if err := own.encode(len(e.heard.device), latest, len(e.touched.hour), dirty); err != nil {
		return err
	}
	if more {
		w.notes.add(own)
		return nil
	}
	select {
	case w.notes.turn <- struct{}{}:
		defer func() { <-w.notes.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait to note what was inserted: %w", context.Cause(ctx))
	}
	others := w.notes.take()
	err := w.insertNative(ctx, "raw_latest", latest, slices.Concat(others.latest, own.latest)...)
	if err == nil {
		err = w.insertNative(ctx, "raw_dirty", dirty, slices.Concat(others.dirty, own.dirty)...)
	}
	if err != nil {
		w.notes.add(others) // and what is our own comes again with the batch
		return fmt.Errorf("note what was inserted: %w", err)
	}
	return nil
}

func (n *waiting) encode(devices int, latest []proto.InputColumn, hours int, dirty []proto.InputColumn) error {
	for _, t := range []struct {
		rows    int
		columns []proto.InputColumn
		to      *[][]byte
	}{{devices, latest, &n.latest}, {hours, dirty, &n.dirty}} {
		if t.rows == 0 {
			continue
		}
		var b proto.Buffer
		if err := (proto.Block{Rows: t.rows, Columns: len(t.columns)}).EncodeRawBlock(&b, 0, t.columns); err != nil {
			return err
		}
		*t.to = append(*t.to, b.Buf)
	}
	return nil
}

func (n *notes) add(more waiting) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latest, n.dirty = append(n.latest, more.latest...), append(n.dirty, more.dirty...)
}

func (n *notes) take() waiting {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := n.waiting
	n.waiting = waiting{}
	return taken
}
