package incidents

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/telemetry"
)

func TestTheFastWayWritesTheSameJSON(t *testing.T) {
	whole, broken := 80.0, 0.1
	inc := openedAtNoon(t)
	fresh := inc.Clocks[1:]
	for _, v := range []any{noon, noon.Add(123 * time.Millisecond), &whole, &broken, (*float64)(nil),
		[]Seen{{noon, telemetry.Firing, false}, {noon, telemetry.Clear, true}}, fresh, inc.Clocks} {
		fast, ok := appendFast(nil, v)
		if !ok {
			continue
		}
		got, want := reflect.New(reflect.TypeOf(v)), reflect.New(reflect.TypeOf(v))
		slow, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(slow, want.Interface())
		}
		if err == nil {
			err = json.Unmarshal(fast, got.Interface())
		}
		if diff := cmp.Diff(want.Interface(), got.Interface()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", fast, err, diff)
		}
	}
	if _, ok := appendFast(nil, fresh); !ok {
		t.Error("clocks that have just begun go the slow way")
	}
}
