package door

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The versions of ClickHouse's protocol from which a Native block has its
// BlockInfo in front, and a byte about the serialization of each column.
const (
	versionBlockInfo     = 1
	versionSerialization = 54454
)

// blockInfo is an ordinary block's: no overflow rows, bucket -1, end.
var blockInfo = []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}

var errCut = errors.New("a Native block is cut off")

// eachBlock writes the Native blocks of a file (protocol version 0) as blocks of
// another version. The columns' data are the same in both, so it is enough to
// know where each ends; nothing is decoded or copied.
func eachBlock(data []byte, version uint64, write func([]byte) error) error {
	c := &cursor{rest: data}
	for len(c.rest) > 0 {
		if version >= versionBlockInfo {
			if err := write(blockInfo); err != nil {
				return err
			}
		}
		if err := c.block(version, write); err != nil {
			return err
		}
	}
	return nil
}

// cursor walks over Native data.
type cursor struct{ rest []byte }

func (c *cursor) take(n uint64) ([]byte, error) {
	if n > uint64(len(c.rest)) {
		return nil, errCut
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out, nil
}

func (c *cursor) skip(n uint64) error { _, err := c.take(n); return err }

func (c *cursor) uvarint() (uint64, error) {
	n, size := binary.Uvarint(c.rest)
	if size <= 0 {
		return 0, errCut
	}
	return n, c.skip(uint64(size))
}

func (c *cursor) uint64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (c *cursor) text() (string, error) {
	n, err := c.uvarint()
	if err != nil {
		return "", err
	}
	b, err := c.take(n)
	return string(b), err
}

// block passes one block on.
func (c *cursor) block(version uint64, write func([]byte) error) error {
	start := c.rest
	columns, err := c.uvarint()
	if err != nil {
		return err
	}
	rows, err := c.uvarint()
	if err != nil {
		return err
	}
	flush := func() error { return write(start[:len(start)-len(c.rest)]) }
	if err := flush(); err != nil {
		return err
	}
	for range columns {
		start = c.rest
		name, err := c.text()
		if err != nil {
			return err
		}
		kind, err := c.text()
		if err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		if version >= versionSerialization {
			if err := write([]byte{0}); err != nil {
				return err
			}
		}
		start = c.rest
		if err := c.column(kind, rows); err != nil {
			return fmt.Errorf("column %s of type %s: %w", name, kind, err)
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) column(text string, rows uint64) error {
	kind, err := parseKind(text)
	if err != nil || rows == 0 {
		return err
	}
	if err := c.prefix(kind); err != nil {
		return err
	}
	return c.data(kind, rows)
}

// prefix passes what a column writes once, before its data: the version of each
// dictionary in it.
func (c *cursor) prefix(k kind) error {
	if k.name == "LowCardinality" {
		return c.skip(8)
	}
	for _, part := range k.parts {
		if err := c.prefix(part); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) data(k kind, rows uint64) error {
	switch k.name {
	case "String":
		for range rows {
			n, err := c.uvarint()
			if err == nil {
				err = c.skip(n)
			}
			if err != nil {
				return err
			}
		}
		return nil
	case "Nullable":
		if err := c.skip(rows); err != nil {
			return err
		}
		return c.data(k.parts[0], rows)
	case "Array", "Map":
		return c.arrays(k, rows)
	case "Tuple":
		return c.each(k.parts, rows)
	case "LowCardinality":
		return c.dictionary(k.parts[0])
	}
	return c.skip(rows * k.size)
}

func (c *cursor) each(parts []kind, rows uint64) error {
	for _, part := range parts {
		if err := c.data(part, rows); err != nil {
			return err
		}
	}
	return nil
}

// arrays passes the ends of the rows, and then all their elements.
func (c *cursor) arrays(k kind, rows uint64) error {
	if rows == 0 {
		return nil
	}
	if err := c.skip((rows - 1) * 8); err != nil {
		return err
	}
	elements, err := c.uint64()
	if err != nil || elements == 0 {
		return err
	}
	return c.each(k.parts, elements)
}

// dictionary passes a block of a LowCardinality column: its values, and for each
// row the place of one of them, in as many bytes as the flags say.
func (c *cursor) dictionary(value kind) error {
	flags, err := c.uint64()
	if err != nil {
		return err
	}
	values, err := c.uint64()
	if err != nil {
		return err
	}
	if value.name == "Nullable" {
		value = value.parts[0] // the first value stands for null
	}
	if err := c.data(value, values); err != nil {
		return err
	}
	rows, err := c.uint64()
	if err != nil {
		return err
	}
	return c.skip(rows << (flags & 0xff))
}
