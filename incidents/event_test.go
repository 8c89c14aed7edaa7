package incidents

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/telemetry"
)

// TestWhatIsWrittenByHandReadsAsAnythingElse writes values as events hold them, and as
// encoding/json does.
func TestWhatIsWrittenByHandReadsAsAnythingElse(t *testing.T) {
	numbers := []float64{0, 80, -0.25, 1e-6, 9.9e-7, 1e20, 1e21, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64}
	pointers := []*float64{nil}
	for i := range numbers {
		pointers = append(pointers, &numbers[i])
	}
	east := time.Date(2026, 3, 27, 12, 0, 0, 123_000_000, time.FixedZone("", 3600))
	times := []time.Time{{}, noon, east, east.UTC(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
	var values []any
	for _, p := range pointers {
		values = append(values, &p)
	}
	for _, text := range []string{"", "plain", `a "quoted" \ one`, "<a>&", "line\nbreak", "é", "\x7f", "\u2028", "INC-000001 stands for the devices of the site"} {
		values = append(values, &text, &telemetry.Scope{Level: "device", Name: text}, &telemetry.Scope{Level: telemetry.Level(text)}, &Held{By: "roll_up", Why: text}, &Held{By: text})
	}
	for _, at := range times {
		values = append(values, &at, &Held{By: "candidate", Why: "x", Until: at})
		for _, seen := range [][]Seen{{}, {{At: at, Condition: "firing"}}, {{At: at, Condition: "fi\"ring"}}, {{At: at, Condition: "clear", Late: true}}, {{At: at}, {At: noon}}} {
			values = append(values, &seen)
		}
	}
	for _, v := range values {
		text, err := member(nil, "x", reflect.ValueOf(v).Elem())
		if err != nil {
			t.Fatal(err)
		}
		got, want := reflect.New(reflect.TypeOf(v).Elem()), reflect.New(reflect.TypeOf(v).Elem())
		var object struct{ X json.RawMessage }
		if err := json.Unmarshal(append(text, '}'), &object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		plain, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(object.X, got.Interface()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := json.Unmarshal(plain, want.Interface()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Interface(), got.Interface()); diff != "" {
			t.Errorf("%s, not %s", text, plain)
		}
	}
}
