package door

import (
	"fmt"
	"reflect"
)

// newOf returns a pointer to a new value of the type.
func newOf(t reflect.Type) any { return reflect.New(t).Interface() }

// shown writes what a chain of pointers points to.
func shown(v any) string {
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return "<nil>"
		}
		r = r.Elem()
	}
	return fmt.Sprint(r.Interface())
}
