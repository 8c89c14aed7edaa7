package recording

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// row makes a draft into a message and settles its times.
func (r *Reader) row(d *draft) Row {
	out := Row{Device: d.device, Line: d.line, Note: d.note()}
	ts, err := r.stamp(d)
	if err != nil && out.Note == "" {
		out.Note = "ts " + strconv.Quote(d.ts) + ": " + plain(err)
	}
	out.Arrival = r.arrived(d, ts)
	out.Value = d.message(ts, r.options.Interval)
	return out
}

// note says what a draft misses.
func (d *draft) note() string {
	switch {
	case d.device == "":
		return "no device"
	case d.ts == "":
		return "no ts"
	case d.dir == unnamed:
		return "flow " + strconv.Quote(d.flow) + " is neither in nor out"
	}
	return ""
}

func plain(err error) string {
	if errors.Is(err, errGap) {
		return errGap.Error()
	}
	return "not in the format given"
}

// stamp returns the end of the draft's interval; the zero time with an error
// when its time can't be read.
func (r *Reader) stamp(d *draft) (time.Time, error) {
	if d.ts == "" {
		return time.Time{}, errors.New("missing")
	}
	ts, err := r.clock.at(d.device, d.ts)
	if err != nil {
		return time.Time{}, err
	}
	if r.options.Stamps == "start" && d.kind != "heartbeat" {
		seconds, err := strconv.Atoi(d.interval)
		if err != nil {
			seconds = r.options.Interval
		}
		ts = ts.Add(time.Duration(seconds) * time.Second)
	}
	return ts.Add(r.options.Shift), nil
}

// arrived returns when the row arrived: as its column says, else at its own
// time, else with the row before it.
func (r *Reader) arrived(d *draft, ts time.Time) time.Time {
	if d.arrival != "" {
		if m, err := parseMoment(d.arrival, r.clock.format, r.clock.zone); err == nil {
			ts = m.first.Add(r.options.Shift)
		}
	}
	if !ts.IsZero() {
		r.arrival = ts
	}
	return r.arrival
}

// message writes the telemetry message. What is missing is null, and what can't
// be read stands in it as a text.
func (d *draft) message(ts time.Time, interval int) []byte {
	b := make([]byte, 0, 128)
	b = append(b, `{"device":`...)
	b = appendText(b, d.device)
	b = append(b, `,"ts":`...)
	if ts.IsZero() {
		b = appendText(b, d.ts)
	} else {
		b = append(b, '"')
		b = ts.UTC().AppendFormat(b, "2006-01-02T15:04:05.999Z07:00")
		b = append(b, '"')
	}
	b = append(b, `,"kind":`...)
	b = appendText(b, d.kind)
	if d.kind != "heartbeat" {
		b = d.appendCounts(b, interval)
	}
	if d.fw != "" {
		b = append(b, `,"fw":`...)
		b = appendText(b, d.fw)
	}
	for _, m := range d.measures {
		b = append(b, ',')
		b = appendText(b, m.name)
		b = append(b, ':')
		b = appendNumber(b, m.text)
	}
	return append(b, '}')
}

func (d *draft) appendCounts(b []byte, interval int) []byte {
	if d.in.there {
		b = append(b, `,"in":`...)
		b = appendNumber(b, d.in.text)
	}
	if d.out.there {
		b = append(b, `,"out":`...)
		b = appendNumber(b, d.out.text)
	}
	switch {
	case d.interval != "":
		b = append(b, `,"interval":`...)
		b = appendNumber(b, d.interval)
	case interval > 0:
		b = append(b, `,"interval":`...)
		b = strconv.AppendInt(b, int64(interval), 10)
	}
	return b
}

// appendNumber writes a number as JSON: whole ones without a point ("4.0" is 4,
// as spreadsheets and data frames write it), others as they are, and what is no
// number as a text.
func appendNumber(b []byte, text string) []byte {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.AppendInt(b, n, 10)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return appendText(b, text)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(b, int64(f), 10)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

const hex = "0123456789abcdef"

// appendText writes a JSON string, and null for "". Bytes that are not UTF-8 stay
// as they are: replaced by a question mark they would make a device that nobody
// has, so that is for ingestion to refuse.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// unreadable makes a message of a row that can't be taken apart: it is refused,
// and shows what stood there.
func (r *Reader) unreadable(bad *rowError, line int64) Row {
	b := append([]byte(nil), `{"device":null,"ts":null,"kind":"count","row":`...)
	b = append(appendText(b, bad.raw), '}')
	return Row{Value: b, Arrival: r.arrival, Line: line, Note: bad.why}
}
