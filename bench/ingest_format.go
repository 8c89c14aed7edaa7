package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/segmentio/kafka-go"

	"belfry/ingest"
)

// format is a form of the records in the log.
type format struct {
	name        string
	per         int // readings in a record
	contentType string
	peer        string // what ClickHouse calls it
	encode      func([]reading) ([]byte, error)
	backfill    bool // one device after another sends what it has kept; else the devices send in turn
}

var formats = []format{
	{name: "objects", per: 1, peer: "JSONEachRow", encode: objects},
	{name: "ndjson", per: 500, peer: "JSONEachRow", encode: objects},
	{name: "arrow", per: 500, contentType: "application/vnd.apache.arrow.stream", peer: "ArrowStream", encode: arrowStream},
	{name: "backfill", per: 500, peer: "JSONEachRow", encode: objects, backfill: true},
}

// formatsNamed returns the formats of these names, or all of them.
func formatsNamed(names []string) (list []format, err error) {
	if len(names) == 0 {
		return formats, nil
	}
	for _, name := range names {
		known := len(list)
		for _, f := range formats {
			if f.name == name {
				list = append(list, f)
			}
		}
		if len(list) == known {
			return nil, fmt.Errorf("no format %q; want some of objects, ndjson, arrow, backfill", name)
		}
	}
	return list, nil
}

// goal returns how many readings a second are wanted, given the rate of inserting alone.
func (f format) goal(insert float64) float64 {
	switch {
	case f.contentType != "":
		return 0.8 * insert
	case f.per > 1:
		return 3e6
	}
	return 1e6
}

// reading is one of those that are sent.
type reading struct {
	device  string
	at      time.Time
	in, out uint64
}

// start is the end of the first interval; the readings go on from there.
var start = time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)

// reading makes the i-th reading.
func (b *ingestBench) reading(i int) reading {
	device, at := i%b.o.Devices, i/b.o.Devices
	if b.format.backfill {
		sent := i / b.format.per
		device, at = sent%b.o.Devices, sent/b.o.Devices*b.format.per+i%b.format.per
	}
	return reading{deviceName(device), start.Add(time.Duration(at) * 15 * time.Minute), people(i), people(i) / 2}
}

// deviceName returns "FC-" and at least six digits.
func deviceName(device int) string {
	return "FC-" + strconv.Itoa(1_000_000 + device)[1:]
}

// people are counted IN by the i-th reading.
func people(i int) uint64 { return uint64(i*7919) % 200 }

// object appends the reading as the fleet writes it.
func (r reading) object(to []byte) []byte {
	to = append(append(append(to, `{"device":"`...), r.device...), `","ts":"`...)
	to = append(r.at.AppendFormat(to, time.RFC3339), `","in":`...)
	to = append(strconv.AppendUint(to, r.in, 10), `,"out":`...)
	return append(strconv.AppendUint(to, r.out, 10), `,"interval":900}`...)
}

// record makes the record that begins with the i-th reading and has n of them.
func (b *ingestBench) record(i, n int) (ingest.Record, error) {
	list := make([]reading, n)
	for k := range list {
		list[k] = b.reading(i + k)
	}
	key := list[0].device
	if b.format.per > 1 && !b.format.backfill {
		key = b.gateway(i)
	}
	value, err := b.format.encode(list)
	return ingest.Record{Key: []byte(key), Value: value, Time: list[n-1].at, ContentType: b.format.contentType}, err
}

// gateway names what sends the record that begins with the i-th reading. There are
// few of them, so their names are such that each partition gets its share: a
// partition that had twice as much as the rest would be measured alone in the end.
func (b *ingestBench) gateway(i int) string {
	n := i / b.format.per % max(1, b.o.Devices/b.format.per)
	partitions := make([]int, b.o.Partitions)
	for p := range partitions {
		partitions[p] = p
	}
	for attempt := 0; ; attempt++ {
		name := fmt.Sprintf("gateway-%d-%d", n, attempt)
		if (kafka.Murmur2Balancer{}).Balance(kafka.Message{Key: []byte(name)}, partitions...) == n%b.o.Partitions {
			return name
		}
	}
}

// records is how many records the topic has.
func (b *ingestBench) records() int { return (b.o.Readings + b.format.per - 1) / b.format.per }

func objects(list []reading) (value []byte, err error) {
	for i, r := range list {
		if i > 0 {
			value = append(value, '\n')
		}
		value = r.object(value)
	}
	return value, nil
}

func arrowStream(list []reading) ([]byte, error) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}},
		{Name: "in", Type: arrow.PrimitiveTypes.Uint32}, {Name: "out", Type: arrow.PrimitiveTypes.Uint32}, {Name: "interval", Type: arrow.PrimitiveTypes.Uint32}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, r := range list {
		b.Field(0).(*array.StringBuilder).Append(r.device)
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(r.at.UnixMilli()))
		for i, n := range [...]uint64{r.in, r.out, 900} {
			b.Field(i + 2).(*array.Uint32Builder).Append(uint32(n))
		}
	}
	record := b.NewRecord()
	defer record.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(record); err != nil {
		return nil, fmt.Errorf("write an Arrow stream: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write an Arrow stream: %w", err)
	}
	return out.Bytes(), nil
}
