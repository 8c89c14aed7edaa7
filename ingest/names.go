package ingest

import (
	"time"
	"unsafe"

	"belfry/telemetry"
)

// NewDevice is a device that this process had not heard of.
type NewDevice struct {
	Name         string
	ID           telemetry.DeviceID
	FirstArrival time.Time // of the record that named it, UTC
	Interval     int       // seconds that its first count says it covers; 0: it says nothing
}

// Bounds of the decoder's memory: when one is reached, that memory starts anew.
// A name met again after that is hashed, checked and registered again, which
// changes nothing.
const (
	maxNames = 4 << 20
	maxWords = 1 << 14
)

// longestInterval of a device in the registry, a year, in seconds.
const longestInterval = 31536000

// names remembers devices, and the words that repeat in every heartbeat, so
// that neither costs an allocation the second time.
type names struct {
	devices idSet // whose names have been checked
	words   map[string]string
	fresh   []NewDevice
}

func makeNames() names { return names{words: map[string]string{}} }

// id returns the identity of a device, and whether it was met before.
func (n *names) id(name []byte) (id telemetry.DeviceID, known bool) {
	id = telemetry.IDOf(unsafe.String(unsafe.SliceData(name), len(name)))
	return id, n.devices.has(id)
}

// add remembers a device whose name has been checked.
func (n *names) add(name []byte, id telemetry.DeviceID, arrival int64, interval uint32) {
	if n.devices.n >= maxNames {
		n.devices.clear()
	}
	n.devices.add(id)
	n.fresh = append(n.fresh, NewDevice{string(name), id, time.UnixMilli(arrival).UTC(), int(min(interval, longestInterval))})
}

// word returns the text as a string.
func (n *names) word(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if s, ok := n.words[string(text)]; ok {
		return s
	}
	if len(n.words) >= maxWords {
		clear(n.words)
	}
	s := string(text)
	n.words[s] = s
	return s
}
