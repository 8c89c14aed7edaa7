package api

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"belfry/incidents"
)

// Page is what all lists have in common.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; missing on the last"`
}

type listOut[T any] struct{ Body Page[T] }

func listed[T any](items []T, next string) *listOut[T] {
	if items == nil {
		items = []T{}
	}
	return &listOut[T]{Page[T]{Items: items, Next: next}}
}

// page cuts a list that was asked for with one item too many, and says where
// the next page starts.
func page[T any](items []T, limit int, kind string, at func(T) string) ([]T, string) {
	if len(items) <= limit {
		return items, ""
	}
	items = items[:limit]
	return items, toCursor(kind, at(items[limit-1]))
}

// toCursor hides a place in a list of that kind; "" stays "".
func toCursor(kind, place string) string {
	if place == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + place))
}

func fromCursor(kind, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	place, ok := strings.CutPrefix(string(text), kind+":")
	if err != nil || !ok {
		return "", oneFault("cursor", "is none of this list; want next of the page before")
	}
	return place, nil
}

func oneFault(field, wrong string) error {
	return &incidents.InvalidError{Faults: []incidents.Fault{{Field: field, Wrong: wrong}}}
}

// etag writes a version as an entity tag.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// match reads If-Match against the present version: the version that the change
// is meant for, or 0 when the header is missing.
func match(header string, present int64) (int64, error) {
	if header == "" {
		return 0, nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || tag == etag(present) {
			return present, nil
		}
	}
	return 0, newProblem("stale", "it is at version %s; If-Match names %s", etag(present), header)
}

// needMatch is match for changes that must say what they are meant for.
func needMatch(header string, present int64) (int64, error) {
	if header == "" {
		return 0, newProblem("precondition-required", "If-Match is missing; want the ETag of what is to be changed")
	}
	return match(header, present)
}

// unescaped reads a name from a path, where it may hold an escaped slash.
func unescaped(segment string) string {
	if name, err := url.PathUnescape(segment); err == nil {
		return name
	}
	return segment
}
