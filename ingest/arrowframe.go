package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// frames takes an Arrow stream apart into its messages, without copying. The
// library could do that too, but it believes every length that it reads, and a
// record of a few bytes could have it allocate more than there is, which ends
// the process. So lengths are held against what is there first.
type frames struct{ b []byte }

var errCutOff = errors.New("a message runs over the end of the record")

// Message returns the next message, io.EOF behind the last.
func (f *frames) Message() (*ipc.Message, error) {
	head, ok := f.take(4)
	if !ok {
		return nil, io.EOF
	}
	size := binary.LittleEndian.Uint32(head)
	if size == 0xFFFFFFFF { // the mark of all but the oldest writers
		if head, ok = f.take(4); !ok {
			return nil, errCutOff
		}
		size = binary.LittleEndian.Uint32(head)
	}
	if size == 0 {
		f.b = nil // the stream's end; nothing behind it counts
		return nil, io.EOF
	}
	meta, ok := f.take(uint64(size))
	if !ok || len(meta) < 8 {
		return nil, errCutOff
	}
	length, err := checkMessage(meta)
	if err != nil {
		return nil, err
	}
	body, ok := f.take(length)
	if !ok {
		return nil, errCutOff
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

// Retain does nothing: the record is its owner's.
func (f *frames) Retain() {}

// Release does nothing, see Retain.
func (f *frames) Release() {}

func (f *frames) take(n uint64) ([]byte, bool) {
	if n > uint64(len(f.b)) {
		return nil, false
	}
	b := f.b[:n:n]
	f.b = f.b[n:]
	return b, true
}

// The places of members in the tables of Arrow's Message.fbs and Schema.fbs:
// 4 and 2 for each member before it.
const (
	slotHeaderType = 6
	slotHeader     = 8
	slotBodyLength = 10

	slotSchemaFields   = 6
	slotSchemaMetadata = 8

	slotFieldType     = 8
	slotFieldChildren = 14
	slotFieldMetadata = 16

	headerSchema     = 1
	lastTypeWithout  = 22 // types behind it say how many buffers they have
	maxArrowFields   = 4096
	maxArrowChildren = 8 // levels
)

// checkMessage returns the length of a message's body, and an error when its
// schema claims more than is there. Reading out of bounds panics; who calls
// recovers.
func checkMessage(meta []byte) (body uint64, err error) {
	message := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	length := message.GetInt64Slot(slotBodyLength, 0)
	if length < 0 {
		return 0, fmt.Errorf("a message with a body of %d bytes", length)
	}
	if message.GetByteSlot(slotHeaderType, 0) != headerSchema {
		return uint64(length), nil
	}
	var schema flatbuffers.Table
	message.Union(&schema, flatbuffers.UOffsetT(message.Offset(slotHeader)))
	left := maxArrowFields
	return uint64(length), errors.Join(checkFields(&schema, slotSchemaFields, 0, &left), checkVector(&schema, slotSchemaMetadata))
}

// checkFields looks at the fields in a vector, and at their children.
func checkFields(t *flatbuffers.Table, slot flatbuffers.VOffsetT, level int, left *int) error {
	if err := checkVector(t, slot); err != nil {
		return err
	}
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil
	}
	n := t.VectorLen(o)
	if *left -= n; *left < 0 || n > 0 && level > maxArrowChildren {
		return errors.New("a schema of too many columns, or nested too deep")
	}
	for i := range n {
		field := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Vector(o) + flatbuffers.UOffsetT(4*i))}
		if kind := field.GetByteSlot(slotFieldType, 0); kind > lastTypeWithout {
			return fmt.Errorf("a column of type number %d, which is not read here", kind)
		}
		if err := errors.Join(checkVector(&field, slotFieldMetadata), checkFields(&field, slotFieldChildren, level+1, left)); err != nil {
			return err
		}
	}
	return nil
}

// checkVector holds the length of a vector of offsets against what is there.
func checkVector(t *flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil
	}
	if n := t.VectorLen(o); n < 0 || n > (len(t.Bytes)-int(t.Vector(o)))/4 {
		return fmt.Errorf("a schema that lists %d parts and is too short for them", n)
	}
	return nil
}
