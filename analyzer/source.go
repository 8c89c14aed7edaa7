package analyzer

import (
	"bytes"
	"strings"
	"unicode/utf8"

	yamltoken "github.com/goccy/go-yaml/token"
)

// source is a rule file's bytes, to find positions in.
type source struct {
	name   string
	data   []byte
	starts []int // offset of each line
}

func newSource(f File) source {
	s := source{name: f.Name, data: f.Data, starts: []int{0}}
	for i, c := range f.Data {
		if c == '\n' {
			s.starts = append(s.starts, i+1)
		}
	}
	return s
}

// refuse returns why the file is not even parsed, or "".
func (s *source) refuse() string {
	if len(s.data) > maxFile {
		return "the file is too large"
	}
	if !utf8.Valid(s.data) {
		return "the file is not UTF-8"
	}
	if bytes.IndexByte(s.data, 0) >= 0 {
		return "the file holds a zero byte"
	}
	depth, keys := 0, 0
	for i, c := range s.data {
		switch c {
		case ':':
			if keys++; keys > maxKeys {
				return "the file has too many keys in one place"
			}
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			indent := 0
			for indent < len(s.data)-i-1 && strings.IndexByte(" -?:", s.data[i+1+indent]) >= 0 {
				indent++
			}
			if indent > 2*maxNesting {
				return "the file nests too deep"
			}
			if strings.IndexByte(string(s.data[i+1:i+1+indent]), '-') >= 0 {
				keys = 0
			}
		}
		if depth > maxNesting {
			return "the file nests too deep"
		}
	}
	return ""
}

// position returns a token's line and column, within the file.
func (s *source) position(t *yamltoken.Token) (line, col int) {
	if t == nil || t.Position == nil {
		return 1, 1
	}
	line = min(max(t.Position.Line, 1), len(s.starts))
	return line, max(t.Position.Column, 1)
}

// offset returns where in the file a line and column (in characters) are.
func (s *source) offset(line, col int) int {
	at := s.starts[line-1]
	for ; col > 1 && at < len(s.data) && s.data[at] != '\n'; col-- {
		_, size := utf8.DecodeRune(s.data[at:])
		at += size
	}
	return at
}

// locate returns the line and column of a byte of a scalar's text, which may
// be quoted, folded or indented in the file: the letters of text are followed
// through the file, whatever white space lies between them.
func (s *source) locate(t *yamltoken.Token, text string, pos int) (line, col int) {
	line, col = s.position(t)
	at := s.offset(line, col)
	if at < len(s.data) && (s.data[at] == '|' || s.data[at] == '>') {
		for at < len(s.data) && s.data[at] != '\n' {
			at++
		}
	}
	end := at
	for i := 0; i < len(text) && i <= pos; i++ {
		if strings.IndexByte(" \t\r\n", text[i]) >= 0 {
			continue
		}
		for at < len(s.data) && s.data[at] != text[i] {
			at++
		}
		if i < pos {
			at++
		}
		end = at
	}
	return s.lineCol(min(end, len(s.data)))
}

func (s *source) lineCol(offset int) (line, col int) {
	for line < len(s.starts) && s.starts[line] <= offset {
		line++
	}
	return line, 1 + utf8.RuneCount(s.data[s.starts[line-1]:offset])
}
