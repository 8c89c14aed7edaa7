package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// ndjsonSource reads newline-delimited JSON. Without a column map each line is
// one cell; with one, the cells are the members that it names.
type ndjsonSource struct {
	lineReader
	names []string
}

func newNDJSON(f *file, spec *Columns) *ndjsonSource {
	s := &ndjsonSource{lineReader: lineReader{file: f}}
	if spec != nil {
		s.names = spec.names()
	}
	return s
}

func (s *ndjsonSource) columns() []string { return s.names }

func (s *ndjsonSource) next() ([]string, int64, error) {
	line, err := s.line()
	switch {
	case errors.Is(err, errLong):
		return nil, s.at, &rowError{string(line), errLong.Error()}
	case err != nil:
		return nil, s.at, err
	case s.names == nil:
		return []string{string(line)}, s.at, nil
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return nil, s.at, &rowError{string(line), "not a JSON object"}
	}
	cells := make([]string, len(s.names))
	for i, name := range s.names {
		cells[i] = cellOf(object[name])
	}
	return cells, s.at, nil
}

func cellOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// passThrough queues the messages of a line as they are: an object is one, each
// element of an array is one, and what is no JSON is one that will be refused.
func (r *Reader) passThrough(queue []Row, line string, number int64) []Row {
	var elements []json.RawMessage
	if text := bytes.TrimSpace([]byte(line)); text[0] != '[' || json.Unmarshal(text, &elements) != nil {
		elements = []json.RawMessage{text}
	}
	for _, e := range elements {
		queue = append(queue, r.passOne(e, number))
	}
	return queue
}

// passOne reads from a message what its record needs, and shifts its time.
func (r *Reader) passOne(message []byte, line int64) Row {
	row := Row{Value: message, Line: line}
	var seen struct {
		Device  any             `json:"device"`
		TS      json.RawMessage `json:"ts"`
		Arrival json.RawMessage `json:"arrival"`
	}
	if err := json.Unmarshal(message, &seen); err != nil {
		row.Arrival, row.Note = r.arrival, "not a JSON object"
		return row
	}
	row.Device, _ = seen.Device.(string)
	d := &draft{device: row.Device, arrival: string(bytes.Trim(seen.Arrival, `"`))}
	var ts time.Time
	if m, err := parseMoment(string(bytes.Trim(seen.TS, `"`)), "", time.UTC); err == nil {
		ts = m.first.Add(r.options.Shift)
		row.Value = r.shift(message, ts)
	} else {
		row.Note = "ts " + string(seen.TS) + ": neither RFC 3339 nor epoch milliseconds"
	}
	row.Arrival = r.arrived(d, ts)
	return row
}

// shift puts another time into a message, in its place.
func (r *Reader) shift(message []byte, ts time.Time) []byte {
	if r.options.Shift == 0 {
		return message
	}
	from, to, ok := member(message, "ts")
	if !ok {
		return message
	}
	out := make([]byte, 0, len(message)+24)
	out = append(out, message[:from]...)
	out = append(out, '"')
	out = ts.UTC().AppendFormat(out, "2006-01-02T15:04:05.999Z07:00")
	out = append(out, '"')
	return append(out, message[to:]...)
}

// member returns where the value of a member of an object stands.
func member(object []byte, name string) (from, to int, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return 0, 0, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, 0, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return 0, 0, false
		}
		if key == name {
			to = int(d.InputOffset())
			from, ok = to-len(value), true // the last one of that name counts
		}
	}
	return from, to, ok
}
