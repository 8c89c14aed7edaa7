package incidents

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"belfry/telemetry"
)

// Event is one entry of an incident's timeline. Timelines are append-only.
type Event struct {
	Ref     string     `json:"ref"`
	Seq     int64      `json:"seq"` // from 1, without gaps; the incident's version after it
	At      time.Time  `json:"at"`
	Actor   string     `json:"actor"`
	Source  Source     `json:"source"`
	Request string     `json:"request,omitempty"`
	Kind    Transition `json:"kind"`

	// Before and After are JSON objects with the fields of Incident that the
	// event changed. After alone makes the next row; Before is for readers.
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`

	Text     string               `json:"text,omitempty"`     // a comment, or why
	Internal bool                 `json:"internal,omitempty"` // for the desk's eyes only
	Shared   bool                 `json:"shared,omitempty"`   // internal, and for the supplier's eyes too
	Supplier string               `json:"supplier,omitempty"` // of a shared note: for whose eyes; "" for whichever comes to have it
	Evidence []telemetry.Evidence `json:"evidence,omitempty"` // frozen when the rule fired
}

// Replay returns the incident that a timeline adds up to. The events are those
// of one incident, in order from the first.
func Replay(events []Event) (Incident, error) {
	var inc Incident
	for _, e := range events {
		if e.Seq != inc.Version+1 {
			return inc, fmt.Errorf("replay %s: event %d follows event %d", e.Ref, e.Seq, inc.Version)
		}
		if err := patch(&inc, e.After); err != nil {
			return inc, fmt.Errorf("replay %s, event %d: %w", e.Ref, e.Seq, err)
		}
		inc.Ref, inc.Version = e.Ref, e.Seq
		inc.UpdatedAt = later(inc.UpdatedAt, e.At)
	}
	return inc, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// column is a field of Incident that events record. Ref, Version and UpdatedAt
// are left out: they are the event's own Ref, Seq and At.
type column struct {
	index int
	name  string
}

var columns = func() (out []column) {
	t := reflect.TypeFor[Incident]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "ref" && name != "version" && name != "updated_at" {
			out = append(out, column{i, name})
		}
	}
	return out
}()

// diff returns what changed between two versions, as two JSON objects. What was
// before the first version is nothing, and is written so.
func diff(a, b *Incident) (before, after json.RawMessage, err error) {
	first := a.State == Absent
	was, is := make([]byte, 0, 64), make([]byte, 0, 896+256*len(b.Clocks))
	av, bv := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for _, c := range columns {
		x, y := av.Field(c.index), bv.Field(c.index)
		if first && y.IsZero() || !first && same(x, y) {
			continue
		}
		if !first {
			if was, err = member(was, c.name, x); err != nil {
				return nil, nil, err
			}
		}
		if is, err = member(is, c.name, y); err != nil {
			return nil, nil, err
		}
	}
	return object(was), object(is), nil
}

func same(x, y reflect.Value) bool {
	switch x.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
		return x.Equal(y)
	case reflect.Slice, reflect.Pointer:
		if x.IsNil() && y.IsNil() {
			return true
		}
	case reflect.Struct:
		if x.IsZero() && y.IsZero() {
			return true
		}
	}
	return reflect.DeepEqual(x.Interface(), y.Interface())
}

func member(b []byte, name string, v reflect.Value) ([]byte, error) {
	sep := byte(',')
	if len(b) == 0 {
		sep = '{'
	}
	b = append(append(append(b, sep, '"'), name...), `":`...)
	if written, ok := usual(b, v); ok {
		return written, nil
	}
	text, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return append(b, text...), nil
}

// usual writes what a storm writes a million of, as encoding/json reads it; false when
// the value is of another type, or needs more thought. What it has appended then does
// not count.
func usual(b []byte, v reflect.Value) ([]byte, bool) {
	switch v.Kind() {
	case reflect.String:
		return quoted(b, v.String())
	case reflect.Int:
		return strconv.AppendInt(b, v.Int(), 10), true
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), true
	}
	switch v := v.Addr().Interface().(type) {
	case *time.Time:
		return instant(b, *v)
	case **float64:
		return float(b, *v)
	case *telemetry.Scope:
		b, one := quoted(append(b, `{"level":`...), string(v.Level))
		b, two := quoted(append(b, `,"name":`...), v.Name)
		return append(b, '}'), one && two
	case *Held:
		if !v.Until.IsZero() {
			return b, false
		}
		b, one := quoted(append(b, `{"by":`...), v.By)
		b, two := quoted(append(b, `,"why":`...), v.Why)
		return append(b, '}'), one && two
	case *[]Seen:
		if len(*v) != 1 || (*v)[0].Late {
			return b, false
		}
		b, one := instant(append(b, `[{"at":`...), (*v)[0].At)
		b, two := quoted(append(b, `,"condition":`...), string((*v)[0].Condition))
		return append(b, "}]"...), one && two
	}
	return b, false
}

func instant(b []byte, at time.Time) ([]byte, bool) {
	if at.Location() != time.UTC || at.Year() < 0 || at.Year() > 9999 {
		return b, false
	}
	return at.AppendFormat(b, `"`+time.RFC3339Nano+`"`), true
}

// float writes a number that needs no exponent.
func float(b []byte, f *float64) ([]byte, bool) {
	if f == nil || *f != 0 && !(math.Abs(*f) >= 1e-6 && math.Abs(*f) < 1e21) {
		return b, false
	}
	return strconv.AppendFloat(b, *f, 'f', -1, 64), true
}

// quoted writes a string that needs no escape in JSON.
func quoted(b []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return b, false
		}
	}
	return append(append(append(b, '"'), s...), '"'), true
}

func object(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("{}")
	}
	return append(b, '}')
}

// patch sets the fields that the object names. Each field is set anew rather
// than merged into, so that a list never keeps a tail of its earlier value.
func patch(inc *Incident, after json.RawMessage) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(after, &members); err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	v := reflect.ValueOf(inc).Elem()
	for _, c := range columns {
		text, ok := members[c.name]
		if !ok {
			continue
		}
		fresh := reflect.New(v.Field(c.index).Type())
		if err := json.Unmarshal(text, fresh.Interface()); err != nil {
			return fmt.Errorf("read %s: %w", c.name, err)
		}
		v.Field(c.index).Set(fresh.Elem())
		delete(members, c.name)
	}
	for name := range members {
		return fmt.Errorf("unknown field %s", name)
	}
	return nil
}
