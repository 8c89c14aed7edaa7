package analyzer

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCompactHoldsMediansOfCounts(t *testing.T) {
	for half := range 2048 {
		if v := float64(half) / 2; compactOf(v).float() != v {
			t.Fatalf("%v comes back as %v", v, compactOf(v).float())
		}
		if v := float64(half) / 4; compactOf(v).float() != v {
			t.Fatalf("%v comes back as %v", v, compactOf(v).float())
		}
	}
	random := rand.New(rand.NewPCG(3, 5))
	for range 100_000 {
		v := math.Exp(random.Float64() * math.Log(4e9))
		if got := compactOf(v).float(); math.Abs(got-v) > v*0.0005 {
			t.Fatalf("%v comes back as %v", v, got)
		}
	}
	if got := compactOf(math.NaN()).float(); got == got {
		t.Errorf("NaN comes back as %v", got)
	}
	for _, v := range []float64{-1, 0} {
		if got := compactOf(v).float(); got != 0 {
			t.Errorf("%v comes back as %v", v, got)
		}
	}
	if got := compactOf(math.Inf(1)).float(); got < 4e9 || got > 5e9 {
		t.Errorf("what is too great comes back as %v", got)
	}
}
