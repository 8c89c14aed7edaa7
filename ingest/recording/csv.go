package recording

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// csvSource reads a CSV file line by line. The standard library's reader takes a
// stray quote to mean that the rows behind it are part of one field; here a
// quoted field ends on its line, so that a broken row costs that row alone.
type csvSource struct {
	lineReader
	comma byte
	names []string
	cells []string
	first []byte // the first line, when it is not a header
}

func newCSV(f *file, noHeader bool) (*csvSource, error) {
	s := &csvSource{lineReader: lineReader{file: f}}
	line, err := s.line()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty")
	case err != nil:
		return nil, err
	}
	s.comma = comma(line)
	if noHeader {
		s.first = bytes.Clone(line)
	}
	cells, err := split(nil, string(line), s.comma)
	if err != nil && !noHeader {
		return nil, errors.New("the header: " + err.Error())
	}
	for i, name := range cells {
		if noHeader {
			name = strconv.Itoa(i + 1)
		}
		s.names = append(s.names, strings.TrimSpace(name))
	}
	return s, nil
}

// comma returns what parts the fields: whichever of comma, semicolon and
// tabulator the first line has most of.
func comma(line []byte) byte {
	best, most := byte(','), bytes.Count(line, []byte{','})
	for _, c := range []byte{';', '\t'} {
		if n := bytes.Count(line, []byte{c}); n > most {
			best, most = c, n
		}
	}
	return best
}

func (s *csvSource) columns() []string { return s.names }

func (s *csvSource) next() ([]string, int64, error) {
	line, err := s.first, error(nil)
	s.first = nil
	if line == nil {
		line, err = s.line()
	}
	switch {
	case errors.Is(err, errLong):
		return nil, s.at, &rowError{string(line), errLong.Error()}
	case err != nil:
		return nil, s.at, err
	}
	text := string(line)
	s.cells, err = split(s.cells[:0], text, s.comma)
	if err == nil && len(s.cells) != len(s.names) {
		err = errors.New("it has " + strconv.Itoa(len(s.cells)) + " fields; the first line has " + strconv.Itoa(len(s.names)))
	}
	if err != nil {
		return nil, s.at, &rowError{text, err.Error()}
	}
	return s.cells, s.at, nil
}

// split cuts a line into its fields. A field that begins with a quote ends with
// one, and two in it stand for one; elsewhere a quote is a letter like others.
func split(cells []string, line string, comma byte) ([]string, error) {
	for {
		if !strings.HasPrefix(line, `"`) {
			i := strings.IndexByte(line, comma)
			if i < 0 {
				return append(cells, line), nil
			}
			cells, line = append(cells, line[:i]), line[i+1:]
			continue
		}
		text, rest, err := quotedField(line[1:])
		if err != nil {
			return cells, err
		}
		cells = append(cells, text)
		if rest == "" {
			return cells, nil
		}
		if rest[0] != comma {
			return cells, errors.New("something follows the closing quote of a field")
		}
		line = rest[1:]
	}
}

// quotedField returns what stands before the closing quote, and what after.
func quotedField(s string) (text, rest string, err error) {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '"')
		if i < 0 {
			return "", "", errors.New("a quoted field doesn't end on its line")
		}
		end := from + i
		if !strings.HasPrefix(s[end+1:], `"`) {
			return strings.ReplaceAll(s[:end], `""`, `"`), s[end+1:], nil
		}
		from = end + 2
	}
}
