package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"belfry/telemetry/holidays"
)

// Holidays are the public holidays of where a site is, and what they are to it. The
// effects are those of an Exception, each by itself; with none of them the holidays are
// like Sundays. An exception of the same date counts before them.
type Holidays struct {
	// Of is the country or the part of it, by ISO 3166: US, AU-VIC. "" is nowhere.
	Of       string `json:"of" yaml:"of"`
	Closed   bool   `json:"closed,omitempty" yaml:"closed,omitempty"`
	Hours    string `json:"hours,omitempty" yaml:"hours,omitempty"`
	As       string `json:"as,omitempty" yaml:"as,omitempty"`
	NoAlarms bool   `json:"no_alarms,omitempty" yaml:"no_alarms,omitempty"`
	Learn    bool   `json:"learn,omitempty" yaml:"learn,omitempty"`
}

// ParseHolidays reads holidays from words as they stand in a cell of a table: the place,
// and behind a comma what ParseException reads: "US", or "AU-VIC, closed, no alarms". "" is none.
func ParseHolidays(text string) (Holidays, error) {
	of, words, more := strings.Cut(text, ",")
	h := Holidays{Of: strings.TrimSpace(of)}
	if more {
		e, err := parseEffects(words)
		if err != nil {
			return h, fmt.Errorf("holidays of %s: %w", h.Of, err)
		}
		h.Closed, h.Hours, h.As, h.NoAlarms, h.Learn = e.Closed, e.Hours, e.As, e.NoAlarms, e.Learn
	}
	return h, h.Check()
}

// Check writes the place as ISO 3166 does, fills in what the holidays are when nothing is
// said, and returns what is wrong with them, or nil.
func (h *Holidays) Check() error {
	if *h == (Holidays{}) {
		return nil
	}
	code, err := holidays.Find(h.Of)
	if err != nil {
		return err
	}
	if h.Of = code; *h == (Holidays{Of: code}) {
		h.As = "sun"
	}
	e := h.Exception("", "")
	if err := e.checkEffects(); err != nil {
		return fmt.Errorf("holidays of %s: %w", h.Of, err)
	}
	return nil
}

// On returns what a local date (YYYY-MM-DD) is to the site; nil when it is no holiday.
func (h *Holidays) On(date string) *Exception {
	if h.Of == "" {
		return nil
	}
	name := holidays.On(h.Of, date)
	if name == "" {
		return nil
	}
	return h.Exception(date, name)
}

// Exception returns the effects of the holidays as those of a date.
func (h *Holidays) Exception(date, name string) *Exception {
	return &Exception{Date: date, Closed: h.Closed, Hours: h.Hours, As: h.As, NoAlarms: h.NoAlarms, Learn: h.Learn, Note: name}
}

// UnmarshalJSON reads an object, or as a string what ParseHolidays reads.
func (h *Holidays) UnmarshalJSON(b []byte) error {
	return h.read(func(v any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		return d.Decode(v)
	})
}

// UnmarshalYAML reads the same forms as UnmarshalJSON.
func (h *Holidays) UnmarshalYAML(unmarshal func(any) error) error { return h.read(unmarshal) }

func (h *Holidays) read(into func(any) error) (err error) {
	*h = Holidays{}
	var text string
	if into(&text) != nil {
		type plain Holidays // without its methods
		return into((*plain)(h))
	}
	*h, err = ParseHolidays(text)
	return err
}
