package ingest

import (
	"testing"

	"pgregory.net/rapid"

	"belfry/telemetry"
)

func TestASetOfDevicesHasWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s idSet
		model := map[telemetry.DeviceID]bool{}
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(0, 500), 0, 1000).Draw(t, "devices") {
			id := telemetry.DeviceID(n << (n % 3 * 20)) // many with equal low bits
			if s.has(id) != model[id] {
				t.Fatalf("device %d: %v, want %v", id, s.has(id), model[id])
			}
			if n%7 > 2 {
				s.add(id)
				model[id] = true
			}
			if n == 500 {
				s.clear()
				clear(model)
			}
		}
		for id := range model {
			if !s.has(id) {
				t.Fatalf("device %d is lost", id)
			}
		}
	})
}
