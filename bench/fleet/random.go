package fleet

import (
	"math"
	"math/rand/v2"
)

// Salts keep the random numbers of one device and instant apart.
const (
	saltDevice uint64 = iota + 1
	saltCount
	saltHeartbeat
	saltScatter
)

// random returns the random numbers that belong to a device, a number (an
// instant, usually) and a salt. They depend on nothing else, which is what makes
// any span of time computable by itself.
func (f *Fleet) random(device int, at int64, salt uint64) *rand.Rand {
	a := mix(f.options.Seed ^ mix(uint64(device)+salt<<56))
	return rand.New(rand.NewPCG(a, mix(a^uint64(at))))
}

// mix spreads the bits of a number over a word (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// poisson draws from the Poisson distribution: by multiplication (Knuth) for
// small means, from the normal distribution for large ones, where the two can't
// be told apart.
func poisson(r *rand.Rand, mean float64) uint32 {
	if mean <= 0 {
		return 0
	}
	if mean > 40 {
		return uint32(max(0, math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	limit, n := math.Exp(-mean), uint32(0)
	for p := r.Float64(); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}
