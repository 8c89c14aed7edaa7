package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzColumns holds that a column map is refused or usable, and never panics.
func FuzzColumns(f *testing.F) {
	f.Add("device=SensorID,in=PedestrianCount,ts=Date+Hour")
	f.Add(`device='CalIt2',flow=1,ts=2+3,count=4`)
	f.Add(`device="a,b",ts=+,in=`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseColumns(text)
		if err != nil {
			return
		}
		names := c.names()
		m, err := c.bind(names, Options{})
		if err != nil {
			return
		}
		cells := make([]string, len(names))
		for i := range cells {
			cells[i] = "7"
		}
		if d := m.draft(cells, 1); d.ts == "" {
			t.Errorf("map %q: no ts from cells that are all there", text)
		}
	})
}

// FuzzCSV holds that each line of a file that is not blank comes out as one JSON
// object (of the bytes that were UTF-8), and that nothing panics.
func FuzzCSV(f *testing.F) {
	f.Add("A,2026-03-27T11:00:00Z,1,2\n\"B\",x,NaN,\n")
	f.Add("\"\n,,,\r\n\n\x00")
	f.Fuzz(func(t *testing.T, body string) {
		want := 0
		for line := range strings.SplitSeq(body, "\n") {
			if strings.TrimSpace(line) != "" {
				want++
			}
		}
		r, err := Open(write(t, "a.csv", "device,ts,in,out\n"+body), Options{Zone: "Europe/Paris"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := 0
		for ; ; got++ {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if utf8.ValidString(body) && !json.Valid(row.Value) {
				t.Errorf("not JSON: %q", row.Value)
			}
		}
		if got != want {
			t.Errorf("%q: got %d rows, want %d", body, got, want)
		}
	})
}

// FuzzRegistry holds that a registry file is refused or good, never panics, and that its
// sites and devices are the same on the way to the registry, where they are checked again.
func FuzzRegistry(f *testing.F) {
	for _, name := range []string{"good.yaml", "bad.yaml", "good.csv", "sites.csv", "bad.csv", "header.csv"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Ext(name), string(text))
	}
	f.Add(".yaml", "sites:\n  - { id: a, holidays: NO }\n  - { id: b, holidays: { of: us, hours: \"10:00-16:00\", learn: true } }\n")
	f.Add(".csv", "id,zone,holidays\na,Australia/Melbourne,\"au-vic, as sat\"\nb,UTC,\n")
	f.Fuzz(func(t *testing.T, kind, text string) {
		if kind != ".csv" {
			kind = ".yaml"
		}
		sites, devices, err := ReadRegistry(write(t, "a"+kind, text))
		if err != nil {
			return
		}
		for _, site := range sites {
			same(t, site, site.Check)
		}
		for _, device := range devices {
			same(t, device, device.Check)
		}
	})
}

// same holds that a checked value is in order and the same in JSON, but for bytes that are
// no letters.
func same[T any](t *testing.T, value T, check func() error) {
	t.Helper()
	text, err := json.Marshal(value)
	var again T
	if err := errors.Join(err, check(), json.Unmarshal(text, &again)); err != nil {
		t.Fatalf("%+v: %v", value, err)
	}
	if diff := cmp.Diff(value, again, cmpopts.EquateEmpty()); diff != "" && !bytes.Contains(text, []byte(`\ufffd`)) {
		t.Fatalf("written as %s and read again (-want +got):\n%s", text, diff)
	}
}

// BenchmarkCSV reads rows of belfry's own columns.
func BenchmarkCSV(b *testing.B) {
	text := "device,ts,in,out,interval\n" + strings.Repeat("FC-10042,2026-03-27T11:00:00Z,12,9,900\n", 20000)
	path := write(b, "a.csv", text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, rows, err := Span(path, Options{}); err != nil || rows != 20000 {
			b.Fatal(rows, err)
		}
	}
}
