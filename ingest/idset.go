package ingest

import (
	"math/bits"
	"math/rand/v2"

	"belfry/telemetry"
)

// idSet is a set of devices: a table of numbers that is looked up once for each
// reading. A map of names costs three times as much there, since it compares
// names that lie elsewhere in memory; their 64-bit hash is what the warehouse
// tells them apart by anyway.
type idSet struct {
	slots []telemetry.DeviceID // open addressing; 0 is an empty slot
	n     int
	zero  bool   // the device 0 is in it
	seed  uint64 // so that nobody can choose names that all fall into one slot
}

func (s *idSet) has(id telemetry.DeviceID) bool {
	if id == 0 {
		return s.zero
	}
	return s.n > 0 && s.slots[s.find(id)] == id
}

// find returns where the device is, or would be.
func (s *idSet) find(id telemetry.DeviceID) int {
	mask := len(s.slots) - 1
	high, low := bits.Mul64(uint64(id)^s.seed, 0x9E3779B97F4A7C15)
	at := int(high^low) & mask
	for s.slots[at] != 0 && s.slots[at] != id {
		at = (at + 1) & mask
	}
	return at
}

func (s *idSet) add(id telemetry.DeviceID) {
	if id == 0 {
		s.zero = true
		return
	}
	if 2*s.n >= len(s.slots) {
		s.grow()
	}
	if at := s.find(id); s.slots[at] == 0 {
		s.slots[at] = id
		s.n++
	}
}

func (s *idSet) grow() {
	if s.seed == 0 {
		s.seed = rand.Uint64() | 1
	}
	old := s.slots
	s.slots = make([]telemetry.DeviceID, max(64, 2*len(old)))
	for _, id := range old {
		if id != 0 {
			s.slots[s.find(id)] = id
		}
	}
}

func (s *idSet) clear() {
	clear(s.slots)
	s.n, s.zero = 0, false
}
