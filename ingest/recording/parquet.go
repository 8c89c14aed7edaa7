package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// parquetSource reads a Parquet file in batches of rows.
type parquetSource struct {
	file    *file
	reader  *pq.Reader
	records pqarrow.RecordReader
	schema  *arrow.Schema
	batch   arrow.Record
	row     int
	at      int64
	cells   []string
}

func newParquet(f *file) (*parquetSource, error) {
	if f.packed {
		return nil, errors.New("a Parquet file is packed inside; unpack the one around it first")
	}
	if f.size < 12 {
		return nil, errors.New("it is too short for a Parquet file")
	}
	f.read.Store(0)
	reader, err := pq.NewParquetReader(f.disk)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	rows, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: 1 << 14}, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	records, err := rows.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	return &parquetSource{file: f, reader: reader, records: records, schema: records.Schema()}, nil
}

func (s *parquetSource) columns() []string {
	var names []string
	for _, field := range s.schema.Fields() {
		names = append(names, field.Name)
	}
	return names
}

// timed reports whether all the columns named hold timestamps.
func (s *parquetSource) timed(columns []string) bool {
	for _, name := range columns {
		field, ok := s.schema.FieldsByName(name)
		if !ok || field[0].Type.ID() != arrow.TIMESTAMP {
			return false
		}
	}
	return len(columns) > 0
}

func (s *parquetSource) next() ([]string, int64, error) {
	for s.batch == nil || s.row == int(s.batch.NumRows()) {
		if err := s.load(); err != nil {
			return nil, s.at, err
		}
	}
	s.cells = slices.Grow(s.cells[:0], int(s.batch.NumCols()))
	for _, column := range s.batch.Columns() {
		s.cells = append(s.cells, parquetCell(column, s.row))
	}
	s.row++
	s.at++
	return s.cells, s.at, nil
}

// load reads the next batch. The records belong to the reader until the next
// call, which is after all their rows have been copied into cells.
func (s *parquetSource) load() error {
	batch, err := s.records.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			s.file.read.Store(s.file.size)
			return io.EOF
		}
		return fmt.Errorf("parquet: %w", err)
	}
	s.batch, s.row = batch, 0
	if rows := s.reader.NumRows(); rows > 0 {
		s.file.read.Store(s.file.size * s.at / rows)
	}
	return nil
}

// parquetCell returns a value as text; "" for null. A timestamp without a zone is
// written without an offset, which makes it local.
func parquetCell(column arrow.Array, row int) string {
	if column.IsNull(row) {
		return ""
	}
	stamps, ok := column.(*array.Timestamp)
	if !ok {
		return column.ValueStr(row)
	}
	kind := stamps.DataType().(*arrow.TimestampType)
	at := stamps.Value(row).ToTime(kind.Unit)
	if kind.TimeZone == "" {
		return at.Format("2006-01-02T15:04:05.999999999")
	}
	return at.UTC().Format(time.RFC3339Nano)
}
