package analyzer

import "math"

// compact is a number of people, not below zero, in two bytes: eleven bits of significand
// above five of exponent, in units of 1/1024. It holds halves below 1,024 and quarters
// below 512 exactly, which is what medians of counts are, and others within 0.05 %, up
// to 4·10⁹. What is learned of a million devices is mostly such numbers.
type compact uint16

// unknownCount is the compact of NaN.
const unknownCount compact = math.MaxUint16

const (
	compactBits = 11
	compactUnit = 1024
)

// compactOf rounds to the nearest; what is too great is the greatest.
func compactOf(v float64) compact {
	switch {
	case v != v:
		return unknownCount
	case v >= 4e9:
		return unknownCount - 1
	}
	m, e := max(0, v)*compactUnit, 0
	if m >= 1<<compactBits {
		e = int(math.Float64bits(m)>>52) - 1022 - compactBits // its exponent, beyond the significand
		m *= math.Float64frombits(uint64(1023-e) << 52)       // 2⁻ᵉ
	}
	m = math.Round(m)
	if m == 1<<compactBits {
		m, e = m/2, e+1
	}
	return compact(e)<<compactBits | compact(m)
}

// float returns the number.
func (c compact) float() float64 {
	if c == unknownCount {
		return missing
	}
	return float64(c&(1<<compactBits-1)) * compactSteps[c>>compactBits]
}

// excess is how far the spread of a slot lies above the least that its baseline allows, in
// one byte: that many equal steps of a ratio. Of numbers that are not below zero the MAD is
// no more than the median, so that the ratio is 1.4826·B over max(√max(B, 1), 0.10·B) at
// most, which is 14.826. A spread comes back within 0.531 %; the MAD of eight values is
// uncertain by far more (see sureZ).
type excess uint8

var excessStep = math.Log(10*madToSigma) / math.MaxUint8

func excessOf(spread, base float64) excess {
	least := leastSpread(base)
	if spread <= least {
		return 0
	}
	return excess(min(math.MaxUint8, math.Round(math.Log(spread/least)/excessStep)))
}

// spread returns the spread above a baseline; NaN above NaN.
func (e excess) spread(base float64) float64 { return leastSpread(base) * excessRatios[e] }

// excessRatios is by excess the spread over the least one.
var excessRatios = func() (ratios [math.MaxUint8 + 1]float64) {
	for e := range ratios {
		ratios[e] = math.Exp(float64(e) * excessStep)
	}
	return ratios
}()

// compactSteps is by exponent what the last bit is worth.
var compactSteps = func() (steps [32]float64) {
	for e := range steps {
		steps[e] = math.Ldexp(1.0/compactUnit, e)
	}
	return steps
}()
