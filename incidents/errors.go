package incidents

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that a caller tells apart with errors.Is.
var (
	// ErrNotFound says that there is no such thing, or that the one who asks may not see it.
	ErrNotFound = errors.New("not found")
	// ErrStale says that the thing has changed since the version that the change was meant for.
	ErrStale = errors.New("changed in the meantime")
	// ErrExists says that there is already one of that name.
	ErrExists = errors.New("exists already")
	// ErrKeyReused says that an idempotency key came again with another request.
	ErrKeyReused = errors.New("idempotency key used for another request")
)

// ConflictError says that a transition is not possible as things are, and which are.
type ConflictError struct {
	Code    string // "not-allowed-in-state", "still-firing", "needs-category"
	Detail  string // one sentence
	State   State
	Allowed []Transition // what the one who asks could do instead, in table order
}

// Error returns the sentence.
func (e *ConflictError) Error() string { return e.Detail }

// ForbiddenError says that the one who asks sees the thing and may not do this to it.
type ForbiddenError struct {
	Code   string
	Detail string
}

// Error returns the sentence.
func (e *ForbiddenError) Error() string { return e.Detail }

// Fault is one thing wrong with a request.
type Fault struct {
	Field string `json:"field"`
	Wrong string `json:"wrong"` // what is wrong, and what is wanted
}

// InvalidError says that a request is wrong in itself. It holds every fault.
type InvalidError struct{ Faults []Fault }

// Error lists the faults.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + ": " + f.Wrong
	}
	return strings.Join(parts, "; ")
}

// faults collects what is wrong with a request.
type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Wrong: fmt.Sprintf(format, args...)})
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &InvalidError{Faults: f}
}
