package store

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/s2"

	"belfry/incidents"
)

// In SQLite the JSON of incidents and events is packed. Most of it is the same in each,
// and to write it twice, into the log and to its place, is what a storm waits for. The
// first byte tells what is packed from JSON as it is, of which short ones stay so, and
// what older versions wrote.
const (
	packedMark  = 1   // begins what is packed after the example of packed.like
	leastPacked = 128 // bytes
)

// packedLike is an example of what is packed; what is like it need not be written. It is
// needed to read, so it can't be changed: another example takes another mark.
//
//go:embed packed.like
var packedLike []byte

var packing = s2.MakeDictManual(packedLike, 0)

// packer packs texts, one at a time.
type packer struct {
	*dialect
	room []byte
}

// pack returns a text as the database keeps it. It holds on to nothing of it.
func (p *packer) pack(text []byte) any {
	if p.numbered || len(text) < leastPacked {
		return string(text)
	}
	if most := s2.MaxEncodedLen(len(text)); len(p.room) < most {
		p.room = make([]byte, most)
	}
	packed := packing.Encode(p.room, text)
	return append(append(make([]byte, 0, 1+len(packed)), packedMark), packed...)
}

// Pack returns a text of JSON as SQLite keeps it, for whoever writes rows past the store.
func Pack(text []byte) any {
	p := packer{dialect: sqlite}
	return p.pack(text)
}

// Unpack returns a text that Pack has returned, in a slice of its own where it was
// packed.
func Unpack(kept []byte) ([]byte, error) {
	if len(kept) == 0 || kept[0] != packedMark {
		return kept, nil
	}
	text, err := packing.Decode(nil, kept[1:])
	if err != nil {
		return nil, fmt.Errorf("unpack %d bytes: %w", len(kept), err)
	}
	return text, nil
}

// incidentOf reads the column data of an incident, and holds on to nothing of it.
func incidentOf(data []byte) (inc incidents.Incident, err error) {
	text, err := Unpack(data)
	if err == nil {
		err = json.Unmarshal(text, &inc)
	}
	if err != nil {
		return inc, fmt.Errorf("read an incident's row: %w", err)
	}
	return inc, nil
}
