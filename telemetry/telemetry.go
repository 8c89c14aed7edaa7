// Package telemetry holds the words that the rest of belfry shares: what a
// device sends (a reading), who sends it and from where (devices and sites with
// their calendars), and what the analyzer says about them (a finding).
//
// They are values. The package knows nothing of Kafka, ClickHouse, SQL or HTTP,
// never reads the clock, and depends on the standard library, on one hash and on the
// dates of public holidays.
package telemetry

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Kind says what a reading is.
type Kind uint8

// The kinds of reading.
const (
	Count     Kind = 1 // people counted IN and OUT over an interval
	Heartbeat Kind = 2 // a sign of life, with named measurements
)

// String returns the kind's name in messages, tables and metrics.
func (k Kind) String() string {
	switch k {
	case Count:
		return "count"
	case Heartbeat:
		return "heartbeat"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Defaults of the telemetry message and of the registry, in seconds.
const (
	DefaultInterval       = 60      // length of a count's interval
	DefaultHeartbeatEvery = 15 * 60 // expected time between heartbeats
)

// MaxDeviceName is the longest device name, in bytes.
const MaxDeviceName = 128

// DeviceID is a device's numeric key in the warehouse: xxHash64 of its name,
// seed 0. It needs no coordination, and ClickHouse computes the same number
// with xxHash64(name). Two of a million names meet with a chance of 3 in 10⁸.
type DeviceID uint64

// IDOf returns the identity of the device of that name.
func IDOf(name string) DeviceID { return DeviceID(xxhash.Sum64String(name)) }

// CheckDeviceName returns what is wrong with a device's name, or nil: 1 to 128
// bytes of UTF-8 without control characters.
func CheckDeviceName(name string) error {
	if name == "" {
		return fmt.Errorf("a device needs a name")
	}
	if len(name) > MaxDeviceName {
		return fmt.Errorf("a device name has at most %d bytes; this one has %d", MaxDeviceName, len(name))
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("a device name is UTF-8; %q is not", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("a device name has no control characters; %q has %U", name, r)
		}
	}
	return nil
}

// Counts are the count readings of a batch, as columns of equal length. Row i
// says: device Device[i] counted In[i] and Out[i] people in the Interval[i]
// seconds that ended at TS[i].
type Counts struct {
	Device   []DeviceID
	TS       []int64  // end of the interval, milliseconds since 1970 UTC
	Arrival  []int64  // timestamp of the record in the log, milliseconds since 1970 UTC
	Offset   []int64  // position of the record in its partition
	In, Out  []uint32 // people
	Interval []uint32 // seconds
}

// Len returns the number of rows.
func (c *Counts) Len() int { return len(c.Device) }

// Reset empties the columns and keeps their memory.
func (c *Counts) Reset() {
	c.Device, c.TS, c.Arrival, c.Offset = c.Device[:0], c.TS[:0], c.Arrival[:0], c.Offset[:0]
	c.In, c.Out, c.Interval = c.In[:0], c.Out[:0], c.Interval[:0]
}

// Heartbeats are the heartbeat readings of a batch, as columns of equal length.
// The measurements of row i are Name[j], Value[j] for j from MeasureEnd[i-1]
// (0 for the first row) up to but without MeasureEnd[i].
type Heartbeats struct {
	Device     []DeviceID
	TS         []int64 // when the device sent it, milliseconds since 1970 UTC
	Arrival    []int64 // timestamp of the record in the log, milliseconds since 1970 UTC
	Offset     []int64 // position of the record in its partition
	Firmware   []string
	MeasureEnd []int
	Name       []string
	Value      []float64
}

// Len returns the number of rows.
func (h *Heartbeats) Len() int { return len(h.Device) }

// Reset empties the columns and keeps their memory.
func (h *Heartbeats) Reset() {
	h.Device, h.TS, h.Arrival, h.Offset = h.Device[:0], h.TS[:0], h.Arrival[:0], h.Offset[:0]
	h.Firmware, h.MeasureEnd, h.Name, h.Value = h.Firmware[:0], h.MeasureEnd[:0], h.Name[:0], h.Value[:0]
}

// Batch is what one insert carries into the warehouse. Whoever fills it owns
// it; a warehouse reads it until its insert returns and keeps nothing of it.
type Batch struct {
	Counts     Counts
	Heartbeats Heartbeats
	Totals     Totals

	// More says that the log has as much again, which comes at once, and that nothing
	// is committed before a batch without it: so what is noted beside the readings
	// may wait for that one.
	More bool
}

// Len returns the number of readings.
func (b *Batch) Len() int { return b.Counts.Len() + b.Heartbeats.Len() + b.Totals.Len() }

// Append adds the rows of another batch, which stays its owner's.
func (b *Batch) Append(o *Batch) {
	c, d := &b.Counts, &o.Counts
	c.Device, c.TS, c.Arrival, c.Offset = append(c.Device, d.Device...), append(c.TS, d.TS...), append(c.Arrival, d.Arrival...), append(c.Offset, d.Offset...)
	c.In, c.Out, c.Interval = append(c.In, d.In...), append(c.Out, d.Out...), append(c.Interval, d.Interval...)
	h, g := &b.Heartbeats, &o.Heartbeats
	h.Device, h.TS, h.Arrival, h.Offset = append(h.Device, g.Device...), append(h.TS, g.TS...), append(h.Arrival, g.Arrival...), append(h.Offset, g.Offset...)
	h.Firmware = append(h.Firmware, g.Firmware...)
	for _, end := range g.MeasureEnd {
		h.MeasureEnd = append(h.MeasureEnd, len(h.Name)+end)
	}
	h.Name, h.Value = append(h.Name, g.Name...), append(h.Value, g.Value...)
	b.Totals.append(&o.Totals)
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Counts.Reset()
	b.Heartbeats.Reset()
	b.Totals.Reset()
	b.More = false
}
