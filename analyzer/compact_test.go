package analyzer

import (
	"math"
	"math/rand/v2"
	"slices"
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

// TestASpreadComesBackWithinHalfAPercent draws slots as learner.summarise has them: the
// spread of any values that are not below zero is known above their median.
func TestASpreadComesBackWithinHalfAPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 1))
	above := 0
	for range 50_000 {
		values := make([]float64, samplesMin+random.IntN(samplesMost-samplesMin+1))
		top := math.Exp(random.Float64() * math.Log(1e7))
		for i := range values {
			values[i] = math.Floor(top * math.Pow(random.Float64(), 8)) // many small ones, some great
		}
		b, mad := medianAndMAD(values)
		want := spreadOf(b, mad)
		if got := excessOf(want, b).spread(b); math.Abs(got-want) > 0.00531*want {
			t.Fatalf("the spread %v above %v comes back as %v", want, b, got)
		}
		if want > leastSpread(b) {
			above++
		}
	}
	if above < 10_000 {
		t.Errorf("only %d spreads lay above the least", above)
	}
	if got := excess(7).spread(math.NaN()); got == got {
		t.Errorf("without a baseline the spread is %v", got)
	}
}

// TestMediansAreThoseOfTheSortedValues has lists of every length up to that of a week's
// slots and more, with few values and many.
func TestMediansAreThoseOfTheSortedValues(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	middle := func(values []float64) float64 {
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	for n := 1; n < 200; n++ {
		for round := range 20 {
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(random.IntN(2+round*round)) / 2
			}
			sorted := slices.Clone(values)
			want := middle(sorted)
			for i, v := range sorted {
				sorted[i] = math.Abs(v - want)
			}
			wantMAD := middle(sorted)
			if m, mad := medianAndMAD(slices.Clone(values)); m != want || mad != wantMAD {
				t.Fatalf("of %v: %v and %v; want %v and %v", values, m, mad, want, wantMAD)
			}
		}
	}
}
