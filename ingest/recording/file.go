package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// The formats of a recording.
const (
	formatCSV     = "csv"
	formatNDJSON  = "ndjson"
	formatParquet = "parquet"
)

// formatOf returns the format given, or the one that the file's name tells.
func formatOf(path, given string) (string, error) {
	switch given {
	case formatCSV, formatNDJSON, formatParquet:
		return given, nil
	case "":
	default:
		return "", fmt.Errorf("format %q; want csv, ndjson or parquet", given)
	}
	name := strings.ToLower(path)
	for _, packed := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, packed)
	}
	for ending, format := range map[string]string{
		".csv": formatCSV, ".tsv": formatCSV, ".data": formatCSV, ".txt": formatCSV,
		".ndjson": formatNDJSON, ".jsonl": formatNDJSON, ".json": formatNDJSON,
		".parquet": formatParquet, ".pq": formatParquet,
	} {
		if strings.HasSuffix(name, ending) {
			return format, nil
		}
	}
	return "", errors.New("its name doesn't tell the format; want .csv, .ndjson or .parquet, or say which it is")
}

// file is an open file, unpacked while it is read.
type file struct {
	path   string
	disk   *os.File
	size   int64
	read   atomic.Int64 // bytes of the file as it lies on disk
	lines  *bufio.Reader
	close  func()
	packed bool
}

func openFile(path string) (*file, error) {
	disk, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, disk: disk, close: func() {}}
	if err := f.unpack(); err != nil {
		disk.Close()
		return nil, err
	}
	return f, nil
}

// unpack looks at the first bytes, not at the name: a file renamed after it was
// packed or unpacked is read all the same.
func (f *file) unpack() error {
	info, err := f.disk.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("it is a folder; want a file")
	}
	f.size = info.Size()
	raw := bufio.NewReaderSize(counting{f}, 1<<18)
	magic, _ := raw.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(raw)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		f.packed, f.lines = true, bufio.NewReaderSize(z, 1<<18)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		f.packed, f.lines, f.close = true, bufio.NewReaderSize(z, 1<<18), z.Close
	default:
		f.lines = raw
	}
	if mark, _ := f.lines.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, err = f.lines.Discard(3)
	}
	return err
}

// Close closes the file.
func (f *file) Close() error {
	f.close()
	return f.disk.Close()
}

func (f *file) position() int64 { return min(f.read.Load(), f.size) }

type counting struct{ f *file }

// Read counts what it reads.
func (c counting) Read(b []byte) (int, error) {
	n, err := c.f.disk.Read(b)
	c.f.read.Add(int64(n))
	return n, err
}

// maxLine is the longest line that is read whole. No row of counts is longer; a
// file with longer ones is no such file.
const maxLine = 1 << 20

// errLong says that a line was longer than maxLine.
var errLong = errors.New("the line is longer than 1 MiB")

// line returns the next line without its end, and errLong with the beginning of
// one that is too long. The bytes are valid until the next call.
func (f *file) line(buf []byte) ([]byte, error) {
	buf = buf[:0]
	long := false
	for {
		piece, err := f.lines.ReadSlice('\n')
		if room := maxLine - len(buf); len(piece) > room {
			long = true
			piece = piece[:room]
		}
		buf = append(buf, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(buf) == 0):
			return nil, err
		case long:
			return buf[:256], errLong
		}
		return bytes.TrimRight(buf, "\r\n"), nil
	}
}

// lineReader numbers the lines of a file and leaves out blank ones.
type lineReader struct {
	file *file
	buf  []byte
	at   int64 // number of the line read last, from 1
}

// line returns the next line that is not blank, valid until the next call.
func (l *lineReader) line() ([]byte, error) {
	for {
		line, err := l.file.line(l.buf)
		if err != nil && !errors.Is(err, errLong) {
			return nil, err
		}
		l.at++
		l.buf = line
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, err
		}
	}
}
