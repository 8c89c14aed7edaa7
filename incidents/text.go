package incidents

import (
	"maps"
	"slices"
)

// Text is the same text in several languages, by their codes (en, fr, ro).
type Text map[string]string

// In returns the text in a language; in English, or else in whatever there is,
// when it was not written in that one.
func (t Text) In(language string) string {
	for _, l := range append([]string{language}, Languages...) {
		if s := t[l]; s != "" {
			return s
		}
	}
	for _, l := range slices.Sorted(maps.Keys(t)) {
		return t[l]
	}
	return ""
}

// texts checks a text that must be there.
func (f *faults) texts(field string, t Text) {
	if t.In(Languages[0]) == "" {
		f.add(field, "is missing; want it in one language at least: {\"en\": \"...\"}")
	}
	for language, s := range t {
		if len(language) < 2 || len(language) > 8 {
			f.add(field, "no language %q; want a code such as en", language)
		}
		f.text(field, s)
	}
}
