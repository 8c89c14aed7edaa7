package ingest

import (
	"bytes"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// stream writes rows, given as JSON, as an Arrow stream of the schema.
func stream(t testing.TB, schema *arrow.Schema, rows string, options ...ipc.Option) []byte {
	t.Helper()
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Release()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(options, ipc.WithSchema(schema))...)
	if err := w.Write(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// schemaOf reads "device:utf8 ts:int64".
func schemaOf(text string) *arrow.Schema {
	types := map[string]arrow.DataType{
		"utf8": arrow.BinaryTypes.String, "large": arrow.BinaryTypes.LargeString,
		"dict":  &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String},
		"int64": arrow.PrimitiveTypes.Int64, "int32": arrow.PrimitiveTypes.Int32, "uint16": arrow.PrimitiveTypes.Uint16, "uint32": arrow.PrimitiveTypes.Uint32,
		"float64": arrow.PrimitiveTypes.Float64, "float32": arrow.PrimitiveTypes.Float32, "bool": arrow.FixedWidthTypes.Boolean,
		"s": arrow.FixedWidthTypes.Timestamp_s, "ms": arrow.FixedWidthTypes.Timestamp_ms, "us": arrow.FixedWidthTypes.Timestamp_us, "ns": arrow.FixedWidthTypes.Timestamp_ns,
		"plain": &arrow.TimestampType{Unit: arrow.Millisecond},
	}
	var fields []arrow.Field
	for _, part := range strings.Fields(text) {
		name, kind, _ := strings.Cut(part, ":")
		fields = append(fields, arrow.Field{Name: name, Type: types[kind], Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

func decodeArrow(record []byte) (telemetry.Batch, []Reject) {
	var b telemetry.Batch
	var r []Reject
	NewDecoder(3).DecodeArrow(record, noon, 42, &b, &r)
	return b, r
}

// The rows of each stream, and what the same as JSON gives.
func TestArrowRowsAreWhatTheSameObjectsAre(t *testing.T) {
	for name, c := range map[string]struct{ schema, rows, objects string }{
		"counts":                      {"device:utf8 ts:int64 in:uint32 out:int32 interval:uint16", `[{"device":"a","ts":1774609200000,"in":12,"out":9,"interval":900},{"device":"b","ts":1774609200000,"in":4294967295,"out":0}]`, ""},
		"in a dictionary":             {"device:dict ts:int64 in:int64 kind:dict", `[{"device":"a","ts":1774609200000,"in":1},{"device":"b","ts":1774609200000,"in":2,"kind":"count"},{"device":"a","ts":1774609260000,"in":3}]`, ""},
		"heartbeats":                  {"device:large ts:int64 kind:utf8 fw:utf8 temp:float64 rssi:int32 door:bool", `[{"device":"a","ts":1774609200000,"kind":"heartbeat","fw":"5.2","temp":41.5,"rssi":-61,"door":true},{"device":"b","ts":1774609200000,"rssi":-70}]`, ""},
		"mixed":                       {"device:utf8 ts:int64 in:float64 out:float64 temp:float32", `[{"device":"a","ts":1774609200000,"in":7,"out":8},{"device":"a","ts":1774609200000,"temp":0.5}]`, ""},
		"one only":                    {"device:utf8 ts:int64 out:int64", `[{"device":"a","ts":1774609200000,"out":8}]`, ""},
		"no rows":                     {"device:utf8 ts:int64", `[]`, ""},
		"the last of twins":           {"device:utf8 ts:int64 in:int64", `[{"device":"a","ts":1774609200000,"in":1},{"device":"a","ts":1774609200000,"in":2}]`, ""},
		"seconds":                     {"device:utf8 ts:s in:int64", `[{"device":"a","ts":"2026-03-27 11:00:00","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00Z","in":1}`},
		"milliseconds":                {"device:utf8 ts:ms in:int64", `[{"device":"a","ts":"2026-03-27 11:00:00.123","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00.123Z","in":1}`},
		"microseconds":                {"device:utf8 ts:us in:int64", `[{"device":"a","ts":"2026-03-27 11:00:00.123456","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00.123Z","in":1}`},
		"nanoseconds":                 {"device:utf8 ts:ns in:int64", `[{"device":"a","ts":"2026-03-27 11:00:00.123456789","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00.123Z","in":1}`},
		"a timestamp without a zone":  {"device:utf8 ts:plain in:int64", `[{"device":"a","ts":"2026-03-27 11:00:00","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00Z","in":1}`},
		"RFC 3339":                    {"device:utf8 ts:utf8 in:int64", `[{"device":"a","ts":"2026-03-27T12:00:00+01:00","in":1}]`, `{"device":"a","ts":"2026-03-27T11:00:00Z","in":1}`},
		"refused as the objects are":  {"device:utf8 ts:int64 in:int64 kind:utf8", `[{"device":"","ts":1774609200000,"in":1},{"device":"a","in":1},{"device":"a","ts":1,"in":1},{"device":"a","ts":1774609200000,"in":-1},{"ts":1774609200000,"in":1},{"device":"a","ts":1774609200000,"in":5,"kind":"noise"},{"device":"a","ts":1774609200000,"kind":"count"},{"device":"ok","ts":1774609200000,"in":1}]`, ""},
		"refused for a part of one":   {"device:utf8 ts:int64 in:float64", `[{"device":"a","ts":1774609200000,"in":1.5}]`, ""},
		"refused for what lies ahead": {"device:utf8 ts:s in:int64", `[{"device":"a","ts":"2036-03-27 11:00:00","in":1}]`, `{"device":"a","ts":"2036-03-27T11:00:00Z","in":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.objects == "" {
				c.objects = c.rows
			}
			want, wantRejects := decode(c.objects)
			for packed, options := range map[string][]ipc.Option{"plain": nil, "lz4": {ipc.WithLZ4()}, "zstd": {ipc.WithZstd()}} {
				got, rejects := decodeArrow(stream(t, schemaOf(c.schema), c.rows, options...))
				if show(&got) != show(&want) {
					t.Errorf("%s: got\n%swant\n%s", packed, show(&got), show(&want))
				}
				if len(rejects) != len(wantRejects) {
					t.Fatalf("%s: refused %+v; want %+v", packed, rejects, wantRejects)
				}
				for i, r := range rejects {
					if w := wantRejects[i]; r.Reason != w.Reason || r.Detail != w.Detail || r.Index != w.Index || r.Offset != 42 || r.Partition != 3 {
						t.Errorf("%s: refused %+v; want %+v", packed, r, w)
					}
					// The letter can be sent again as it is, and says the same.
					if _, again := decode(string(r.Raw)); len(again) != 1 || again[0].Reason != r.Reason {
						t.Errorf("%s: the letter %s as JSON: %+v; want %s", packed, r.Raw, again, r.Reason)
					}
				}
			}
		})
	}
}

func TestMeasurementsThatAreNaNAreMissingAndCountsAreRefused(t *testing.T) {
	schema := schemaOf("device:utf8 ts:int64 in:float64 temp:float64")
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"a", "a", "a"}, nil)
	b.Field(1).(*array.Int64Builder).AppendValues([]int64{noon, noon, noon}, nil)
	b.Field(2).(*array.Float64Builder).AppendValues([]float64{0, math.NaN(), 0}, []bool{false, true, false})
	b.Field(3).(*array.Float64Builder).AppendValues([]float64{math.NaN(), 1, math.Inf(1)}, nil)
	var text bytes.Buffer
	w := ipc.NewWriter(&text, ipc.WithSchema(schema))
	if err := w.Write(b.NewRecord()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	got, rejects := decodeArrow(text.Bytes())
	if got.Heartbeats.Len() != 1 || len(got.Heartbeats.Name) != 0 || got.Counts.Len() != 0 {
		t.Errorf("got\n%s", show(&got))
	}
	if len(rejects) != 2 || rejects[0].Reason != BadIn || rejects[1].Reason != BadMember || !strings.Contains(string(rejects[0].Raw), `"in":"NaN"`) {
		t.Errorf("refused %+v", rejects)
	}
}

func TestStreamsThatAreNoneAreRefusedWhole(t *testing.T) {
	good := stream(t, schemaOf("device:utf8 ts:int64 in:int64"), `[{"device":"a","ts":1774609200000,"in":1}]`)
	var two bytes.Buffer
	two.Write(good[:len(good)-8]) // without its end
	for name, c := range map[string]struct {
		record []byte
		detail string
		rows   int
	}{
		"empty":            {nil, "no Arrow IPC stream", 0},
		"JSON":             {[]byte(`{"device":"a"}`), "no Arrow IPC stream", 0},
		"a file":           {append([]byte("ARROW1\x00\x00"), good...), "an Arrow file", 0},
		"cut off":          {good[:len(good)-20], "breaks off", 0},
		"garbage behind":   {append(two.Bytes(), "\xff\xff\xff\xff\x10\x00\x00\x00garbagegarbagegarb"...), "breaks off", 1},
		"without a device": {stream(t, schemaOf("ts:int64 in:int64"), `[{"ts":1774609200000,"in":1}]`), "device and a column ts", 0},
		"a wrong type":     {stream(t, schemaOf("device:int64 ts:int64 in:int64"), `[{"device":1,"ts":1774609200000,"in":1}]`), "column device is of type int64", 0},
	} {
		got, rejects := decodeArrow(c.record)
		if got.Len() != c.rows || len(rejects) != 1 || rejects[0].Reason != BadArrow || !strings.Contains(rejects[0].Detail, c.detail) ||
			!bytes.Equal(rejects[0].Raw, c.record) || rejects[0].Type != arrowStream {
			t.Errorf("%s: got %d readings and %+v; want %d and %q", name, got.Len(), rejects, c.rows, c.detail)
		}
	}
}

func TestPlainColumnsAreReadAsTheyAreRowByRow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var plain, other []string // the other has a column that means nothing
		for range rapid.IntRange(0, 20).Draw(rt, "rows") {
			row := fmt.Sprintf(`"device":%s,"ts":%d,"in":%d,"interval":%d`, rapid.SampledFrom([]string{`"a"`, `"b"`, `"c"`, `"a\u0001"`, `""`}).Draw(rt, "device"),
				rapid.SampledFrom([]int64{noon, noon - 1000, noon - 2000, noon + 2*24*3600*1000, 5}).Draw(rt, "ts"), rapid.Uint32().Draw(rt, "in"),
				rapid.SampledFrom([]int{60, 900, 900, 0}).Draw(rt, "interval"))
			if rapid.IntRange(0, 9).Draw(rt, "null") == 0 {
				row = strings.Replace(row, `"in"`, `"other"`, 1)
			}
			plain, other = append(plain, "{"+row+"}"), append(other, "{"+row+`,"x":"y"}`)
		}
		for _, ts := range []string{"int64", "ms"} {
			schema := "device:utf8 ts:" + ts + " in:uint32 interval:uint32"
			a, refusedA := decodeArrow(stream(t, schemaOf(schema), "["+strings.Join(plain, ",")+"]"))
			b, refusedB := decodeArrow(stream(t, schemaOf(schema+" x:utf8"), "["+strings.Join(other, ",")+"]"))
			if show(&a) != show(&b) || len(refusedA) != len(refusedB) {
				rt.Fatalf("%s\n%srefused %d; row by row\n%srefused %d", plain, show(&a), len(refusedA), show(&b), len(refusedB))
			}
			for i := range refusedA {
				if refusedA[i].Reason != refusedB[i].Reason || refusedA[i].Index != refusedB[i].Index {
					rt.Fatalf("refused %+v; row by row %+v", refusedA[i], refusedB[i])
				}
			}
		}
	})
}

// The fuzzer gets few runs here: what it watches of the library costs more than
// the runs. So some thousands of broken streams are tried at every test.
func TestBrokenStreamsAreRefusedAndNeverMore(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := mathrand.New(mathrand.NewPCG(seed, 1))
	whole := [][]byte{
		stream(t, schemaOf("device:utf8 ts:ms in:uint32"), `[{"device":"a","ts":0,"in":1},{"device":"b","ts":0,"in":2}]`),
		stream(t, schemaOf("device:dict ts:int64 in:uint32 temp:float64"), `[{"device":"a","ts":1774609200000,"in":1},{"device":"b","ts":1774609200000,"temp":2}]`),
		stream(t, schemaOf("device:utf8 ts:int64 in:uint32"), `[{"device":"a","ts":1774609200000,"in":1}]`, ipc.WithZstd()),
	}
	for range 5000 {
		broken := bytes.Clone(whole[random.IntN(len(whole))])
		for range 1 + random.IntN(4) {
			broken[random.IntN(len(broken))] = byte(random.Uint32())
		}
		if random.IntN(4) == 0 {
			broken = broken[:random.IntN(len(broken))]
		}
		if b, rejects := decodeArrow(broken); b.Len() > MaxArrowRows || len(rejects) > MaxArrowRows+1 {
			t.Fatalf("seed %d: %x is %d readings", seed, broken, b.Len())
		}
	}
}

func FuzzArrow(f *testing.F) {
	f.Add(stream(f, schemaOf("device:dict ts:ms in:int64 temp:float64"), `[{"device":"a","ts":"2026-03-27 11:00:00","in":1,"temp":2}]`))
	f.Add(stream(f, schemaOf("device:utf8 ts:int64 in:int64 kind:dict"), `[{"device":"a","ts":1774609200000,"in":1,"kind":"count"},{"device":"","ts":0}]`, ipc.WithZstd()))
	f.Fuzz(func(t *testing.T, record []byte) {
		b, rejects := decodeArrow(record)
		c, h := &b.Counts, &b.Heartbeats
		if n := c.Len(); len(c.TS) != n || len(c.Arrival) != n || len(c.Offset) != n || len(c.In) != n || len(c.Out) != n || len(c.Interval) != n {
			t.Fatalf("count columns of unequal length: %+v", c)
		}
		if n := h.Len(); len(h.TS) != n || len(h.Arrival) != n || len(h.Offset) != n || len(h.Firmware) != n || len(h.MeasureEnd) != n || len(h.Name) != len(h.Value) {
			t.Fatalf("heartbeat columns of unequal length: %+v", h)
		}
		for _, r := range rejects {
			if r.Reason == "" || r.Detail == "" {
				t.Fatalf("refused without a word: %+v", r)
			}
		}
	})
}

func BenchmarkDecodeArrow(b *testing.B) {
	const rows = 10_000
	for name, kind := range map[string]string{"strings": "utf8", "dictionary": "dict"} {
		b.Run(name, func(b *testing.B) {
			var text strings.Builder
			for i := range rows {
				fmt.Fprintf(&text, `,{"device":"FC-%06d","ts":1774609200000,"in":%d,"out":%d,"interval":900}`, i, i%200, i%100)
			}
			record := stream(b, schemaOf("device:"+kind+" ts:int64 in:uint32 out:uint32 interval:uint32"), "["+text.String()[1:]+"]")
			var batch telemetry.Batch
			var rejects []Reject
			d := NewDecoder(0)
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				d.DecodeArrow(record, noon, 1, &batch, &rejects)
			}
			if batch.Len() != rows || len(rejects) > 0 {
				b.Fatalf("%d readings, refused %+v", batch.Len(), rejects)
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
		})
	}
}
