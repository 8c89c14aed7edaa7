package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"

	"github.com/google/go-cmp/cmp"
)

// noon is the arrival of the records in these tests.
const noon = 1_774_609_200_000 // 2026-03-27T11:00:00Z

func decode(record string) (telemetry.Batch, []Reject) {
	var b telemetry.Batch
	var r []Reject
	NewDecoder(3).Decode([]byte(record), noon, 42, &b, &r)
	return b, r
}

// show writes a batch as lines, counts first.
func show(b *telemetry.Batch) string {
	var s strings.Builder
	for i := range b.Counts.Len() {
		c := &b.Counts
		fmt.Fprintf(&s, "count %x %s in=%d out=%d every=%d\n", uint64(c.Device[i])>>48, instant(c.TS[i]), c.In[i], c.Out[i], c.Interval[i])
	}
	for i := range b.Totals.Len() {
		c := &b.Totals
		fmt.Fprintf(&s, "total %x %s in=%d out=%d modulus=%d\n", uint64(c.Device[i])>>48, instant(c.TS[i]), c.In[i], c.Out[i], c.Modulus[i])
	}
	for i, from := 0, 0; i < b.Heartbeats.Len(); i++ {
		h := &b.Heartbeats
		fmt.Fprintf(&s, "heartbeat %x %s fw=%q", uint64(h.Device[i])>>48, instant(h.TS[i]), h.Firmware[i])
		for ; from < h.MeasureEnd[i]; from++ {
			fmt.Fprintf(&s, " %s=%v", h.Name[from], h.Value[from])
		}
		s.WriteString("\n")
	}
	return s.String()
}

func TestAcceptedMessages(t *testing.T) {
	a := fmt.Sprintf("%x", uint64(telemetry.IDOf("a"))>>48)
	tests := []struct{ name, record, want string }{
		{"a count", `{"device":"a","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`, "count A 2026-03-27T11:00:00Z in=12 out=9 every=900\n"},
		{"a heartbeat with measurements", `{"device":"a","ts":1774609200000,"kind":"heartbeat","fw":"5.2.1","uptime":86400,"temp":41.5,"rssi":-61}`,
			"heartbeat A 2026-03-27T11:00:00Z fw=\"5.2.1\" uptime=86400 temp=41.5 rssi=-61\n"},
		{"neither kind nor people make a heartbeat", `{"device":"a","ts":1774609200000}`, "heartbeat A 2026-03-27T11:00:00Z fw=\"\"\n"},
		{"only out", `{"out":3,"ts":1774609200000,"device":"a"}`, "count A 2026-03-27T11:00:00Z in=0 out=3 every=60\n"},
		{"null is as if it were not there", `{"device":"a","ts":1774609200000,"in":3,"out":null,"interval":null,"kind":null}`, "count A 2026-03-27T11:00:00Z in=3 out=0 every=60\n"},
		{"spaces everywhere", " \r\n{ \"device\" : \"a\" ,\n\t\"ts\" : 1774609200000 , \"in\" : 1 } \n", "count A 2026-03-27T11:00:00Z in=1 out=0 every=60\n"},
		{"a byte order mark", "\uFEFF" + `{"device":"a","ts":1774609200000,"in":1}`, "count A 2026-03-27T11:00:00Z in=1 out=0 every=60\n"},
		{"an offset and decimals", `{"device":"a","ts":"2026-03-27T16:30:00.123987+05:30","in":1}`, "count A 2026-03-27T11:00:00.123Z in=1 out=0 every=60\n"},
		{"escapes", `{"d\u0065vice":"\u0061","ts":1774609200000,"in":1}`, "count A 2026-03-27T11:00:00Z in=1 out=0 every=60\n"},
		{"whole numbers written with a point or an exponent", `{"device":"a","ts":1.7746092e12,"in":12.0,"out":4294967295,"interval":9e2}`, "count A 2026-03-27T11:00:00Z in=12 out=4294967295 every=900\n"},
		{"other members of a count", `{"device":"a","ts":1774609200000,"in":1,"temp":1e999,"x":{"in":[5,{}],"y":[]},"b":true,"s":"é"}`, "count A 2026-03-27T11:00:00Z in=1 out=0 every=60\n"},
		{"other members of a heartbeat", `{"device":"a","ts":1774609200000,"x":{"in":5},"b":false,"s":"text","n":null,"v":-0.5e-3,"interval":"?"}`, "heartbeat A 2026-03-27T11:00:00Z fw=\"\" v=-0.0005\n"},
		{"the last of equal members", `{"device":"b","in":1,"in":"x","ts":0,"in":7,"device":"a","ts":1774609200000}`, "count A 2026-03-27T11:00:00Z in=7 out=0 every=60\n"},
		{"the last of equal measurements", `{"device":"a","ts":1774609200000,"t":1,"u":5,"t":2,"u":"no","fw":7,"fw":"x","fw":8}`, "heartbeat A 2026-03-27T11:00:00Z fw=\"\" t=2 fw=8\n"},
		{"an array", `[{"device":"a","ts":1774609200000,"in":1} , {"device":"a","ts":1774609201000,"in":2}]`,
			"count A 2026-03-27T11:00:00Z in=1 out=0 every=60\ncount A 2026-03-27T11:00:01Z in=2 out=0 every=60\n"},
		{"lines", `{"device":"a","ts":1774609200000,"in":1}` + "\r\n\n\n" + `{"device":"a","ts":1774609201000,"in":2}` + "\n",
			"count A 2026-03-27T11:00:00Z in=1 out=0 every=60\ncount A 2026-03-27T11:00:01Z in=2 out=0 every=60\n"},
		{"an empty array", `[ ]`, ""},
		{"exactly 2000", `{"device":"a","ts":"2000-01-01T00:00:00Z","in":1}`, "count A 2000-01-01T00:00:00Z in=1 out=0 every=60\n"},
		{"exactly 24 h ahead", `{"device":"a","ts":"2026-03-28T11:00:00Z","in":1}`, "count A 2026-03-28T11:00:00Z in=1 out=0 every=60\n"},
		{"the last of twins in one record", `[{"device":"a","ts":1774609200000,"in":1},{"device":"a","ts":1774609201000,"in":2},{"device":"a","ts":1774609200000,"in":3},
			{"device":"a","ts":1774609200000,"v":1,"w":2},{"device":"a","ts":1774609201000,"v":3},{"device":"a","ts":1774609200000,"w":4}]`,
			"count A 2026-03-27T11:00:01Z in=2 out=0 every=60\ncount A 2026-03-27T11:00:00Z in=3 out=0 every=60\n" +
				"heartbeat A 2026-03-27T11:00:01Z fw=\"\" v=3\nheartbeat A 2026-03-27T11:00:00Z fw=\"\" w=4\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, rejects := decode(test.record)
			if len(rejects) > 0 {
				t.Fatalf("refused: %+v", rejects)
			}
			if diff := cmp.Diff(strings.ReplaceAll(test.want, " A ", " "+a+" "), show(&b)); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
			for i := range b.Counts.Len() {
				if b.Counts.Arrival[i] != noon || b.Counts.Offset[i] != 42 {
					t.Errorf("row %d: arrival %d, offset %d; want %d, 42", i, b.Counts.Arrival[i], b.Counts.Offset[i], noon)
				}
			}
		})
	}
}

// A producer whose clock is far ahead stamps its records so, and its readings are
// then not ahead of their arrival; a day in the year 33000 would have the warehouse
// note every hour until then.
func TestNoReadingIsOfTheYear2100WhateverItsRecordIsStamped(t *testing.T) {
	const ts, arrival = int64(979_000_000_000_000), int64(980_000_000_000_000)
	rows := fmt.Sprintf(`[{"device":"a","ts":%d,"in":1}]`, ts)
	for name, decodeIt := range map[string]func(d *Decoder, b *telemetry.Batch, r *[]Reject){
		"JSON": func(d *Decoder, b *telemetry.Batch, r *[]Reject) { d.Decode([]byte(rows), arrival, 1, b, r) },
		"Arrow": func(d *Decoder, b *telemetry.Batch, r *[]Reject) {
			d.DecodeArrow(stream(t, schemaOf("device:utf8 ts:int64 in:uint32"), rows), arrival, 1, b, r)
		},
	} {
		var b telemetry.Batch
		var rejects []Reject
		decodeIt(NewDecoder(0), &b, &rejects)
		if b.Len() != 0 || len(rejects) != 1 || rejects[0].Reason != TSTooNew || !strings.Contains(rejects[0].Detail, "2100") {
			t.Errorf("%s: %d readings, refused %+v; want one refusal", name, b.Len(), rejects)
		}
	}
}

func TestEveryReasonForRefusal(t *testing.T) {
	heartbeat := func(members string) string { return `{"device":"a","ts":1774609200000,` + members + `}` }
	var crowd []string
	for i := range MaxMeasures + 1 {
		crowd = append(crowd, fmt.Sprintf(`"m%d":1`, i))
	}
	tests := []struct{ name, reason, record, detail string }{
		{"text", BadJSON, `hello`, "want an object"},
		{"nothing", BadJSON, " \n", "empty"},
		{"an object cut short", BadJSON, `{"device":"a","ts":177460920`, "byte 28: want a comma or the object's end"},
		{"a string cut short", BadJSON, `{"device":"a`, "without its end"},
		{"NaN", BadJSON, `{"device":"a","ts":1774609200000,"in":NaN}`, "want a value"},
		{"a leading zero", BadJSON, `{"device":"a","ts":01774609200000,"in":1}`, "want a comma"},
		{"a comma too many", BadJSON, `{"device":"a","ts":1774609200000,"in":1,}`, "want a member's name"},
		{"a control character in a string", BadJSON, "{\"device\":\"a\tb\",\"ts\":1}", "control character"},
		{"a bad escape", BadJSON, `{"device":"\x"}`, "bad escape"},
		{"a bad nested value", BadJSON, `{"device":"a","x":{"y":[1,2}}`, "want a comma or"},
		{"a number in place of an object", BadJSON, `17`, "want an object"},
		{"no device", BadDevice, `{"ts":1774609200000,"in":1}`, "missing"},
		{"an empty device", BadDevice, `{"device":"","ts":1774609200000,"in":1}`, "needs a name"},
		{"a device name of 129 bytes", BadDevice, `{"device":"` + strings.Repeat("x", 129) + `","ts":1774609200000,"in":1}`, "at most 128 bytes"},
		{"a device that is a number", BadDevice, `{"device":5,"ts":1774609200000,"in":1}`, "no string"},
		{"a device with a control character", BadDevice, `{"device":"a\u0007","ts":1774609200000,"in":1}`, "control"},
		{"a device with DEL", BadDevice, "{\"device\":\"a\x7f\",\"ts\":1774609200000,\"in\":1}", "control"},
		{"a device that is not UTF-8", BadDevice, "{\"device\":\"a\xff\",\"ts\":1774609200000,\"in\":1}", "UTF-8"},
		{"no ts", BadTS, `{"device":"a","in":1}`, "missing"},
		{"a day that does not exist", BadTS, `{"device":"a","ts":"2026-02-29T00:00:00Z","in":1}`, "RFC 3339"},
		{"a ts without a zone", BadTS, `{"device":"a","ts":"2026-02-28T00:00:00","in":1}`, "RFC 3339"},
		{"a number as text", BadTS, `{"device":"a","ts":"1774609200000","in":1}`, "RFC 3339"},
		{"a ts that is true", BadTS, `{"device":"a","ts":true,"in":1}`, "RFC 3339"},
		{"seconds for milliseconds", TSTooOld, `{"device":"a","ts":1774609200,"in":1}`, "looks like seconds"},
		{"1999", TSTooOld, `{"device":"a","ts":"1999-12-31T23:59:59.999Z","in":1}`, "1999-12-31T23:59:59.999Z is before 2000"},
		{"a clock a year ahead", TSTooNew, `{"device":"a","ts":"2027-03-27T11:00:00Z","in":1}`, "24 h"},
		{"a millisecond over 24 h ahead", TSTooNew, `{"device":"a","ts":"2026-03-28T11:00:00.001Z","in":1}`, "24 h"},
		{"an unknown kind", BadKind, `{"device":"a","ts":1774609200000,"kind":"total","in":1}`, `"total"`},
		{"a kind that is a number", BadKind, `{"device":"a","ts":1774609200000,"kind":1,"in":1}`, "kind is"},
		{"a heartbeat that counts", BadKind, `{"device":"a","ts":1774609200000,"kind":"heartbeat","in":1}`, "neither in nor out"},
		{"a negative in", BadIn, `{"device":"a","ts":1774609200000,"in":-1}`, "whole number"},
		{"an in of 2^32", BadIn, `{"device":"a","ts":1774609200000,"in":4294967296}`, "4294967295"},
		{"half a person", BadIn, `{"device":"a","ts":1774609200000,"in":0.5}`, "whole number"},
		{"an in that is text", BadIn, `{"device":"a","ts":1774609200000,"in":"1"}`, "whole number"},
		{"a count without people", BadIn, `{"device":"a","ts":1774609200000,"kind":"count"}`, "in, or out"},
		{"an out that is an object", BadOut, `{"device":"a","ts":1774609200000,"in":1,"out":{}}`, "whole number"},
		{"an out with an exponent too far", BadOut, `{"device":"a","ts":1774609200000,"in":1,"out":1e400}`, "whole number"},
		{"an interval of 0", BadInterval, `{"device":"a","ts":1774609200000,"in":1,"interval":0}`, "from 1"},
		{"an interval that is text", BadInterval, `{"device":"a","ts":1774609200000,"in":1,"interval":"60"}`, "from 1"},
		{"a firmware of 129 bytes", BadMember, heartbeat(`"fw":"` + strings.Repeat("1", 129) + `"`), "fw"},
		{"a measurement without a name", BadMember, heartbeat(`"":1`), "name"},
		{"a measurement with a long name", BadMember, heartbeat(`"` + strings.Repeat("m", 65) + `":1`), "64 bytes"},
		{"a measurement with a control character", BadMember, heartbeat(`"a\n":1`), "control"},
		{"a measurement beyond all numbers", BadMember, heartbeat(`"v":1e999`), "too large"},
		{"a crowd of measurements", BadMember, heartbeat(strings.Join(crowd, ",")), "at most 64"},
		{"deep nesting", TooDeep, `{"device":"a","ts":1774609200000,"in":1,"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, "16 levels"},
	}
	seen := map[string]bool{RecordTooLarge: true, BadArrow: true, BadBatch: true} // TestConsumer...
	for _, test := range tests {
		seen[test.reason] = true
		t.Run(test.name, func(t *testing.T) {
			b, rejects := decode(test.record)
			if b.Len() != 0 || len(rejects) != 1 {
				t.Fatalf("got %d readings, refused %+v; want one refusal", b.Len(), rejects)
			}
			r := rejects[0]
			if r.Reason != test.reason || !strings.Contains(r.Detail, test.detail) {
				t.Errorf("got %s: %s; want %s: ...%s...", r.Reason, r.Detail, test.reason, test.detail)
			}
			if r.Partition != 3 || r.Offset != 42 || r.Index != 0 || string(r.Raw) != strings.TrimSpace(test.record) {
				t.Errorf("got partition %d, offset %d, index %d, raw %.60q", r.Partition, r.Offset, r.Index, r.Raw)
			}
		})
	}
	for _, reason := range Reasons {
		if !seen[reason] {
			t.Errorf("no test refuses for %s", reason)
		}
	}
}

func TestNeighboursOfABadObjectGoOn(t *testing.T) {
	one, two := `{"device":"a","ts":1774609200000,"in":1}`, `{"device":"a","ts":1774609201000,"in":2}`
	tests := []struct {
		name, record string
		taken        int
		refused      []string // raw
	}{
		{"wrong value in an array", `[` + one + `,{"device":"a","ts":5,"in":1},` + two + `]`, 2, []string{`{"device":"a","ts":5,"in":1}`}},
		{"no value in an array", `[` + one + `,{"device":"a","ts":},` + two + `]`, 2, []string{`{"device":"a","ts":}`}},
		{"no brace in an array", `[{"device":"a","ts":5, ` + one + `, ` + two + `]`, 2, []string{`{"device":"a","ts":5`}},
		{"open string in an array", `[{"device":"a,"ts":5},` + one + `]`, 1, []string{`{"device":"a,"ts":5}`}},
		{"no comma in an array", `[` + one + ` x, ` + two + `]`, 2, []string{`x`}},
		{"a comma too many at the end", `[` + one + `,]`, 1, []string{``}},
		{"other things in an array", `[1,` + one + `,"x",` + two + `,null]`, 2, []string{`1`, `"x"`, `null`}},
		{"the last in an array", `[` + one + `,` + two + `,{"device":}]`, 2, []string{`{"device":}`}},
		{"an array cut in an object", `[` + one + `,` + two + `,{"dev`, 2, []string{`{"dev`, ``}},
		{"an array cut between objects", `[` + one + `,` + two, 2, []string{``}},
		{"bad line", one + "\n{\"device\":\"a\n" + two + "\n", 2, []string{`{"device":"a`}},
		{"garbage line", one + "\nhello {world}\n\n" + two + "\n", 2, []string{`hello {world}`}},
		{"bad last line", one + "\n" + two + "\n{", 2, []string{`{`}},
		{"rest of a line", one + "}}\n" + two + "\n", 2, []string{`}}`}},
		{"an array, then lines", `[` + one + "]\n" + two + "\nx", 2, []string{`x`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, rejects := decode(test.record)
			var raws []string
			for _, r := range rejects {
				raws = append(raws, string(r.Raw))
				if !strings.HasPrefix(test.record[r.At:], string(r.Raw)) {
					t.Errorf("At %d is not where %q is", r.At, r.Raw)
				}
			}
			if b.Len() != test.taken {
				t.Errorf("took %d; want %d", b.Len(), test.taken)
			}
			if diff := cmp.Diff(test.refused, raws); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewDevicesAreNamedOnce(t *testing.T) {
	d := NewDecoder(0)
	var b telemetry.Batch
	var r []Reject
	record := []byte(`[{"device":"a","ts":1774609200000},{"device":"b","ts":1774609200000,"in":-1},{"device":"a","ts":1774609200001},` +
		`{"device":"c","ts":1774609200000,"in":1,"interval":3600},{"device":"d","ts":1774609200000,"out_total":1,"interval":4294967295}]`)
	d.Decode(record, noon, 0, &b, &r)
	want := []NewDevice{{"a", telemetry.IDOf("a"), time.UnixMilli(noon).UTC(), 0}, {"c", telemetry.IDOf("c"), time.UnixMilli(noon).UTC(), 3600},
		{"d", telemetry.IDOf("d"), time.UnixMilli(noon).UTC(), longestInterval}}
	if diff := cmp.Diff(want, d.NewDevices()); diff != "" {
		t.Errorf("new devices (-want +got):\n%s", diff)
	}
	d.Registered()
	d.Decode(record, noon, 1, &b, &r)
	if len(d.NewDevices()) != 0 {
		t.Errorf("named again: %v", d.NewDevices())
	}
}

func TestParseTimeAgainstTheStandardLibrary(t *testing.T) {
	for _, s := range []string{
		"2026-03-27T11:00:00Z", "2000-02-29T23:59:59.9999Z", "1999-12-31T00:00:00-23:59", "0000-01-01T00:00:00Z",
		"9999-12-31T23:59:59+00:00", "1969-12-31T23:59:59.999Z", "2024-02-29T12:34:56.1+14:00", "2100-02-28T00:00:00Z",
	} {
		want, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseTime([]byte(s)); !ok || got != want.UnixMilli() {
			t.Errorf("%s: got %d, %v; want %d", s, got, ok, want.UnixMilli())
		}
	}
	for _, s := range []string{
		"", "2026-03-27", "2026-03-27T11:00:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2100-02-29T00:00:00Z",
		"2026-03-27T24:00:00Z", "2026-03-27T23:60:00Z", "2026-03-27T23:59:60Z", "2026-03-27T11:00:00.Z", "2026-03-27T11:00:00+0100",
		"2026-03-27T11:00:00+24:00", "2026-03-27T11:00:00ZZ", "2026-03-27T11:00:00,5Z", "20260327T110000Z-------", "+026-03-27T11:00:00Z",
	} {
		if got, ok := parseTime([]byte(s)); ok {
			t.Errorf("%q: got %d; want a refusal", s, got)
		}
	}
	for day := time.Date(1599, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2402; day = day.AddDate(0, 0, 1) {
		if got := daysSince1970(day.Year(), int(day.Month()), day.Day()); int64(got)*86400 != day.Unix() {
			t.Fatalf("%s: got day %d; want %d", day, got, day.Unix()/86400)
		}
	}
}

// seeds are records of every shape, for the fuzzers.
var seeds = []string{
	`{"device":"FC-10042","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
	`{"device":"FC-10042","ts":1774609200000,"kind":"heartbeat","fw":"5.2.1","uptime":86400,"temp":41.5,"rssi":-61}`,
	`[{"device":"a","ts":1774609200000,"in":1},{"device":"a","ts":1774609200000,"in":1}]`,
	"{\"device\":\"a\",\"ts\":1774609200000}\n{\"device\":\"\\u0062\",\"ts\":1.5e12,\"in\":-0}\n",
	`{"device":"é","x":{"a":[1,{"b":null}]},"ts":"2026-03-27T11:00:00.5+01:00","fw":null,"in":1.0,"out":1e2}`,
	`{"a":0.1,"a":-0,"a":123456789012345678,"b":1E-7,"c":true,"d":{},"e":[],"fw":1,"fw":"x","fw":2}`,
}

// FuzzScanners holds the fast scanner against the general one: whatever the
// fast one takes, the general one reads in the same way.
func FuzzScanners(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || b[0] != '{' {
			return
		}
		var fast, slow fields
		end, ok := scan(b, 0, &fast)
		if !ok {
			return
		}
		g := general{b: b}
		if err := g.object(&slow); err != nil || g.i != end {
			t.Fatalf("%q: fast ends at %d, general at %d: %v", b, end, g.i, err)
		}
		if diff := cmp.Diff(slow, fast, cmp.AllowUnexported(fields{}, measure{}), cmp.Comparer(bytes.Equal),
			cmp.Comparer(func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })); diff != "" {
			t.Errorf("%q (-general +fast):\n%s", b, diff)
		}
	})
}

// FuzzGeneral holds the general scanner against encoding/json: the same texts
// are objects, and members have the same values.
func FuzzGeneral(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || b[0] != '{' {
			return
		}
		var got fields
		g := general{b: b}
		err := g.object(&got)
		valid := json.Valid(b)
		if whole := err == nil && skipSpace(b, g.i) == len(b); whole != valid && !strings.Contains(fmt.Sprint(json.Unmarshal(b, new(any))), "max depth") {
			t.Fatalf("%q: general says %v and ends at %d; encoding/json says %v", b, err, g.i, valid)
		}
		var want map[string]json.RawMessage
		if !valid || json.Unmarshal(b, &want) != nil {
			return
		}
		var device string
		isText := json.Unmarshal(want["device"], &device) == nil && len(want["device"]) > 0 && want["device"][0] == '"'
		if got.deviceState == good != isText || isText && !strings.Contains(device, "\uFFFD") && device != string(got.device) {
			t.Errorf("%q: device %q, %v; want %q, %v", b, got.device, got.deviceState, device, isText)
		}
		for _, m := range got.measures {
			var x float64
			if json.Unmarshal(want[string(m.name)], &x) == nil && x != m.value {
				t.Errorf("%q: %s is %v; want %v", b, m.name, m.value, x)
			}
		}
	})
}

// FuzzDecode looks for crashes, for columns of unequal length, and for bytes
// that neither a reading nor a reject accounts for.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		b, rejects := decode(string(record))
		c, h := &b.Counts, &b.Heartbeats
		for _, n := range []int{len(c.TS), len(c.Arrival), len(c.Offset), len(c.In), len(c.Out), len(c.Interval)} {
			if n != c.Len() {
				t.Errorf("%q: columns of unequal length", record)
			}
		}
		if len(h.MeasureEnd) != h.Len() || len(h.Firmware) != h.Len() || len(h.Name) != len(h.Value) ||
			h.Len() > 0 && h.MeasureEnd[h.Len()-1] != len(h.Name) {
			t.Errorf("%q: bad heartbeat columns %+v", record, h)
		}
		if b.Len() == 0 && len(rejects) == 0 && !strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(string(record), "\uFEFF"), " \r\n\t"), "[") {
			t.Errorf("%q: vanished", record)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	shapes := map[string]string{
		"usual":      `{"device":"FC-10042","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
		"otherOrder": `{"out":9,"interval":900,"in":12,"ts":1774609200000,"device":"FC-10042"}`,
		"heartbeat":  `{"device":"FC-10042","ts":1774609200000,"kind":"heartbeat","fw":"5.2.1","uptime":86400,"temp":41.5,"rssi":-61}`,
		"utf8":       `{"device":"Zähler-10042","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
	}
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintf(&lines, `{"device":"FC-%d","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`+"\n", 10000+i)
	}
	shapes["lines500"] = lines.String()
	for _, name := range []string{"usual", "otherOrder", "heartbeat", "utf8", "lines500"} {
		b.Run(name, func(b *testing.B) {
			record := []byte(shapes[name])
			d := NewDecoder(0)
			var batch telemetry.Batch
			var rejects []Reject
			readings := 0
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(record, noon, 1, &batch, &rejects)
				if n := batch.Len(); n > 100_000 {
					readings += n
					batch.Reset()
				}
			}
			readings += batch.Len()
			b.ReportMetric(float64(readings)/b.Elapsed().Seconds(), "readings/s")
			if len(rejects) > 0 {
				b.Fatal(rejects[0])
			}
		})
	}
}
