package ingest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"belfry/telemetry"
)

// inOrder decodes records one after another, with what is learnt from one used
// for the next, or without.
func inOrder(learning bool, records ...string) string {
	d := NewDecoder(1)
	d.shapes.off = !learning
	var out strings.Builder
	for i, r := range records {
		var b telemetry.Batch
		var rejects []Reject
		d.Decode([]byte(r), noon, int64(i), &b, &rejects)
		out.WriteString(show(&b))
		for _, r := range rejects {
			fmt.Fprintf(&out, "%+v\n", r)
		}
	}
	return out.String()
}

func TestAShapeIsLearntAndReadsAsTheScannerDoes(t *testing.T) {
	usual := `{"device":"a","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`
	for name, second := range map[string]string{
		"the same":            usual,
		"other values":        `{"device":"FC-9","ts":"2026-03-26T10:59:59Z","in":0,"out":4294967295,"interval":1}`,
		"one space more":      `{"device":"a","ts":"2026-03-27T11:00:00Z", "in":12,"out":9,"interval":900}`,
		"an escape":           `{"device":"\u0061","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
		"beyond ASCII":        `{"device":"Zähler","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
		"a quote in a name":   `{"device":"a\"","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
		"too much":            `{"device":"a","ts":"2026-03-27T11:00:00Z","in":4294967296,"out":9,"interval":900}`,
		"negative":            `{"device":"a","ts":"2026-03-27T11:00:00Z","in":-1,"out":9,"interval":900}`,
		"with decimals":       `{"device":"a","ts":"2026-03-27T11:00:00Z","in":12.0,"out":9.5,"interval":900}`,
		"with an exponent":    `{"device":"a","ts":"2026-03-27T11:00:00Z","in":1e1,"out":9,"interval":900}`,
		"with leading zeros":  `{"device":"a","ts":"2026-03-27T11:00:00Z","in":012,"out":9,"interval":900}`,
		"without a number":    `{"device":"a","ts":"2026-03-27T11:00:00Z","in":,"out":9,"interval":900}`,
		"cut off":             usual[:len(usual)-1],
		"cut off in a number": usual[:len(usual)-2],
		"a member more":       usual[:len(usual)-1] + `,"in":1}`,
		"an hour too many":    `{"device":"a","ts":"2026-03-27T24:00:00Z","in":12,"out":9,"interval":900}`,
		"letters for digits":  `{"device":"a","ts":"2026-03-27T1a:00:00Z","in":12,"out":9,"interval":900}`,
		"a zone":              `{"device":"a","ts":"2026-03-27T11:00:00+01:00","in":12,"out":9,"interval":900}`,
		"two on a line":       usual + usual,
		"an array":            "[" + usual + "," + usual + "]",
		"old times":           `{"device":"a","ts":"0001-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
	} {
		if got, want := inOrder(true, usual, second, usual), inOrder(false, usual, second, usual); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	d := NewDecoder(0)
	var b telemetry.Batch
	for range 2 {
		d.Decode([]byte(usual), noon, 0, &b, nil)
	}
	if _, ok := d.shapes.match([]byte(usual), 0, new(fields)); !ok {
		t.Error("the shape was not learnt")
	}
}

func TestObjectsThatHaveNoShapeAreReadByTheScannerAlone(t *testing.T) {
	for _, object := range []string{
		`{}`, `{"device":"a","device":"b"}`, `{"temp":1,"temp":2}`, `{"a":null}`, `{"in":"1"}`, `{"device":1}`, `{"fw":1}`, `{"note":"x","note":1}`, `{"x":true}`,
	} {
		if _, ok := scan([]byte(object), 0, new(fields)); !ok && object != `{}` {
			t.Fatalf("%s: the scanner does not read it", object)
		}
		if new(shape).learn([]byte(object)) {
			t.Errorf("%s: learnt", object)
		}
	}
}

func FuzzShapes(f *testing.F) {
	seeds := []string{
		`{"device":"a","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`,
		`{"out":9,"interval":900,"in":12,"ts":1774609200000,"device":"FC-10042"}`,
		`{ "device":"a", "ts":1774609200000, "kind":"heartbeat","fw":"5.2.1","uptime":86400,"temp":41.5,"rssi":-61 }`,
		`{"device":"a","note":"x","ts":"2026-03-27T11:00:00+01:00","in":0}`, `[{"device":"a","ts":1,"in":1},{"device":"b","ts":2,"in":2}]`, `{"a":1,"a":2}`, `{"device":`,
	}
	for _, a := range seeds {
		for _, b := range seeds {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		if got, want := inOrder(true, first, second, first, second), inOrder(false, first, second, first, second); got != want {
			t.Errorf("after %q, %q gives\n%s\nwant\n%s", first, second, got, want)
		}
		// Whatever was learnt from the one must read the other as scan does.
		var s shape
		var learnt, scanned fields
		if end, ok := scan([]byte(first), 0, &scanned); len(first) == 0 || first[0] != '{' || !ok || !s.learn([]byte(first)[:end]) {
			return
		}
		end, ok := s.match([]byte(second), 0, &learnt, new(clock))
		if !ok {
			return
		}
		scanned.reset()
		wantEnd, wantOK := scan([]byte(second), 0, &scanned)
		if end != wantEnd || !wantOK || !reflect.DeepEqual(normal(learnt), normal(scanned)) {
			t.Errorf("after %q, %q is read as %+v to %d; want %+v to %d", first, second, learnt, end, scanned, wantEnd)
		}
	})
}

func normal(f fields) fields {
	if len(f.measures) == 0 {
		f.measures = nil
	}
	for i := range f.measures {
		f.measures[i].word = ""
	}
	return f
}
