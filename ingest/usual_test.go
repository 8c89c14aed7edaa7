package ingest

import (
	"encoding/binary"
	"strings"
	"testing"

	"belfry/telemetry"
)

// withText and withMillis put values into the usual shapes, as they stand.
func withText(device, ts, in, out, interval string) string {
	return `{"device":"` + device + `","ts":"` + ts + `","in":` + in + `,"out":` + out + `,"interval":` + interval + `}`
}

func withMillis(device, ts, in, out string) string {
	return `{"out": ` + out + `, "in": ` + in + `, "ts": ` + ts + `, "device": "` + device + `"}`
}

func TestCountsOfTheUsualShapeAreReadWordByWord(t *testing.T) {
	for name, record := range map[string]string{
		"text":               withText("FC-1", "2026-03-27T11:00:00Z", "0", "9999999", "1"),
		"the day's end":      withText("FC-1", "2026-03-27T23:59:59Z", "12", "345", "900"),
		"a long name":        withText(strings.Repeat("x", 128), "2026-03-27T11:00:00Z", "12", "345", "900"),
		"milliseconds":       withMillis("FC-1", "1774609200000", "1", "22"),
		"only out":           `{"device":"FC-1","ts":1774609200000,"out":4}`,
		"only in, with tail": `{"in":4,"ts":1774609200000,"device":"FC-1" }`,
	} {
		d := NewDecoder(0)
		var b telemetry.Batch
		var rejects []Reject
		d.Decode([]byte(record), noon, 0, &b, &rejects) // it meets the device, and the shape
		w := walk{d: d, b: []byte(record), arrival: noon, into: &b, rejects: &rejects}
		if end, ok := w.usual(0); !ok || end != len(record) {
			t.Errorf("%s: %s is not read: %d, %v", name, record, end, ok)
			continue
		}
		if c := b.Counts; b.Len() != 2 || c.Device[0] != c.Device[1] || c.TS[0] != c.TS[1] || c.In[0] != c.In[1] || c.Out[0] != c.Out[1] || c.Interval[0] != c.Interval[1] {
			t.Errorf("%s: read as %+v; want both rows to be the same", name, c)
		}
	}
}

// FuzzUsualValues puts all kinds of values where the usual shape has its own, and
// cuts the record off. Whatever is read word by word is what is read otherwise.
func FuzzUsualValues(f *testing.F) {
	for _, ts := range []string{"2026-03-27T11:00:00Z", "2026-03-27T24:00:00Z", "2026-03-27T19:60:00Z", "2026-03-27T19:00:60Z", "2026-03-28T11:00:01Z", "2026-03-27T11-00:00Z",
		"2026-03-27t11:00:00Z", "2026-03-27T11:00:00+01:00", "2026-03-27T1:00:000Z", "1774609200000", "0774609200000", "177460920000", "17746092000000", "0000-01-01T00:00:00Z"} {
		f.Add("FC-10042", ts, "12", "9", "900", 0)
	}
	for _, n := range []string{"0", "00", "01", "1234567", "12345678", "4294967295", "4294967296", "", "-1", "1.5", "1e3", "9 ", "null", `"1"`} {
		f.Add("a", "2026-03-27T11:00:00Z", n, "9", "900", 0)
		f.Add("a", "2026-03-27T11:00:00Z", "9", "9", n, 1)
	}
	for _, name := range []string{"", "12345678", "1234567890123456", `a\u0062`, `a\`, "Zähler", "a\x00b", "\x7f", "\xff", `a","in":1,"x":"`} {
		f.Add(name, "2026-03-27T11:00:00Z", "1", "2", "3", 2)
	}
	f.Fuzz(func(t *testing.T, device, ts, in, out, interval string, cut int) {
		const date = "2026-03-27T11:00:00Z"
		for _, list := range [][]string{
			{withText(device, date, "1", "2", "3"), withText(device, ts, in, out, interval)},
			{withMillis(device, "1774609200000", "1", "2"), withMillis(device, ts, in, out)},
		} {
			last := list[1]
			last = last[:len(last)-int(uint(cut)%uint(len(last)))]
			list = append(list, list[0]+"\n"+last+"\n"+list[1], last)
			if got, want := inOrder(true, list...), inOrder(false, list...); got != want {
				t.Errorf("%q gives\n%s\nwant\n%s", list, got, want)
			}
		}
	})
}

func TestVarintsAreThoseOfTheStandardLibrary(t *testing.T) {
	for _, n := range []int64{0, -1, 1, 63, -64, 64, -65, 8191, -8192, 8192, 1 << 40, 1<<63 - 1, -1 << 63} {
		b := binary.AppendVarint([]byte{0x80}, n)
		if got, end := varint(b, 1); got != n || end != len(b) {
			t.Errorf("%d is read as %d up to %d of %d", n, got, end, len(b))
		}
		if got, end := varint(append(b, 0x80, 1), 1); got != n || end != len(b) {
			t.Errorf("%d before others is read as %d up to %d of %d", n, got, end, len(b))
		}
		if _, end := varint(b[:len(b)-1], 1); end != -1 {
			t.Errorf("%d cut off is read up to %d", n, end)
		}
	}
	for _, b := range []string{"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, end := varint([]byte(b), 0); end != -1 {
			t.Errorf("%q is read up to %d", b, end)
		}
	}
}
