package chdb

import (
	"context"
	"testing"
	"time"
)

// A connection that is used again must not give what a statement before left
// behind.
func TestAStatementThatFailsHalfWayLeavesNothingToTheNext(t *testing.T) {
	for name, fail := range map[string]func(e *Engine){
		"an error in the middle": func(e *Engine) {
			if _, err := e.Query(t.Context(), "SELECT number, throwIf(number = 3000000) FROM numbers(5000000) SETTINGS max_block_size = 10000", "ArrowStream", nil); err == nil {
				t.Fatal("it did not fail")
			}
		},
		"its context ends": func(e *Engine) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := e.Query(ctx, "SELECT number, sleepEachRow(0.001) FROM numbers(100000) SETTINGS max_block_size = 100", "ArrowStream", nil); err == nil {
				t.Fatal("it did not fail")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine
			for range 5 { // each connection once
				fail(e)
				for range 5 {
					out, err := e.Query(t.Context(), "SELECT 1 AS x", "JSONEachRow", nil)
					if err != nil || string(out) != "{\"x\":1}\n" {
						t.Fatalf("got %d bytes %.80q, %v", len(out), out, err)
					}
				}
			}
		})
	}
}
