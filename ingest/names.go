package ingest

import (
	"time"

	"belfry/telemetry"
)

// NewDevice is a device that this process had not heard of.
type NewDevice struct {
	Name         string
	ID           telemetry.DeviceID
	FirstArrival time.Time // of the record that named it, UTC
}

// Bounds of the decoder's memory: when one is reached, that memory starts anew.
// A name met again after that is hashed, checked and registered again, which
// changes nothing.
const (
	maxNames = 4 << 20
	maxWords = 1 << 14
)

// names remembers devices, and the words that repeat in every heartbeat, so
// that neither costs an allocation the second time.
type names struct {
	devices map[string]device
	words   map[string]string
	fresh   []NewDevice
}

type device struct {
	name string
	id   telemetry.DeviceID
}

func makeNames() names {
	return names{devices: map[string]device{}, words: map[string]string{}}
}

// id returns a device met before; the name is "" when it was not.
func (n *names) id(name []byte) (telemetry.DeviceID, string) {
	d := n.devices[string(name)]
	return d.id, d.name
}

// add remembers a device whose name has been checked.
func (n *names) add(name []byte, arrival int64) (telemetry.DeviceID, string) {
	if len(n.devices) >= maxNames {
		clear(n.devices)
	}
	s := string(name)
	id := telemetry.IDOf(s)
	n.devices[s] = device{s, id}
	n.fresh = append(n.fresh, NewDevice{s, id, time.UnixMilli(arrival).UTC()})
	return id, s
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
