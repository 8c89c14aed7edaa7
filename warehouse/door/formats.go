package door

import (
	"bytes"
	"strings"
)

// headerLines are the formats whose documents, one behind the other, are a
// document again once the headers of all but the first are taken off, with the
// number of lines in the header. RowBinary has names or types in place of a line.
var headerLines = map[string]int{
	"Native": 0, "RowBinary": 0, "Null": 0, "MsgPack": 0, "RowBinaryWithNames": 1, "RowBinaryWithNamesAndTypes": 2,
	"TabSeparated": 0, "TSV": 0, "TabSeparatedRaw": 0, "TSVRaw": 0, "Raw": 0, "TSKV": 0, "LineAsString": 0, "RawBLOB": 0,
	"CSV": 0, "JSONEachRow": 0, "JSONLines": 0, "NDJSON": 0, "JSONStringsEachRow": 0, "JSONCompactEachRow": 0, "JSONCompactStringsEachRow": 0,
	"CSVWithNames": 1, "TabSeparatedWithNames": 1, "TSVWithNames": 1, "TabSeparatedRawWithNames": 1, "TSVRawWithNames": 1, "RawWithNames": 1,
	"JSONCompactEachRowWithNames": 1, "JSONCompactStringsEachRowWithNames": 1,
	"CSVWithNamesAndTypes": 2, "TabSeparatedWithNamesAndTypes": 2, "TSVWithNamesAndTypes": 2, "TabSeparatedRawWithNamesAndTypes": 2,
	"TSVRawWithNamesAndTypes": 2, "RawWithNamesAndTypes": 2, "JSONCompactEachRowWithNamesAndTypes": 2, "JSONCompactStringsEachRowWithNamesAndTypes": 2,
}

// streams reports whether a result in the format can be handed on as it comes.
// A result in any other is made whole first, up to maxWhole.
func streams(format string) bool {
	_, ok := headerLines[format]
	return ok
}

// joiner makes one document of many.
type joiner struct {
	format   string
	revision uint64
	header   int // length of the first document's header, which all have
	second   bool
}

// next writes a chunk without what only the first may have.
func (j *joiner) next(chunk []byte, write func([]byte) error) error {
	if j.format == "Native" && j.revision > 0 {
		return eachBlock(chunk, j.revision, write)
	}
	if lines := headerLines[j.format]; lines > 0 && len(chunk) > 0 {
		if !j.second {
			j.header = headerLength(chunk, lines, j.format)
		} else {
			chunk = chunk[j.header:]
		}
		j.second = true
	}
	return write(chunk)
}

// headerLength returns the length of the first lines. A CSV name may have a
// line's end between its quotes; the other formats write it escaped.
func headerLength(document []byte, lines int, format string) int {
	if strings.HasPrefix(format, "RowBinary") {
		return binaryHeader(document, lines)
	}
	inside, quoted := false, strings.HasPrefix(format, "CSV")
	for i, c := range document {
		switch {
		case c == '"' && quoted:
			inside = !inside
		case c == '\n' && !inside:
			if lines--; lines == 0 {
				return i + 1
			}
		}
	}
	return len(document)
}

// binaryHeader returns the length of a number of columns and so many texts of each.
func binaryHeader(document []byte, texts int) int {
	c := &cursor{rest: document}
	columns, err := c.uvarint()
	for range columns * uint64(texts) {
		if err == nil {
			_, err = c.text()
		}
	}
	if err != nil {
		return len(document) // the engine writes none such
	}
	return len(document) - len(c.rest)
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=" + map[bool]string{true: "present", false: "absent"}[headerLines[format] > 0]
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.Contains(format, "EachRow") || format == "NDJSON" || format == "JSONLines":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	case format == "Native", strings.HasPrefix(format, "RowBinary"), strings.HasPrefix(format, "Arrow"), format == "Parquet", format == "ORC", format == "Avro", format == "MsgPack":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

// trimmed is what the engine's own text for a statement ends without.
func trimmed(b []byte) string { return string(bytes.TrimRight(b, "\n")) }
