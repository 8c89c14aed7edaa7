// Package setup holds the scripts behind make setup, make test and make lint,
// with the tests that keep them true. It has no Go code of its own.
package setup
