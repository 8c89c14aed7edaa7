package analyzer

import "math"

// shareColumn asks a condition of each device and makes one value of the answers
// for each scope.
func (p *pass) shareColumn(t *task, u use) ([]float64, error) {
	n, err := p.countOf(t, u)
	if err != nil {
		return nil, err
	}
	out := p.take(t.bound.scopes)
	for scope := range out {
		out[scope] = missing
		if n.known[scope] > 0 {
			out[scope] = u.sig.share(n.yes[scope], n.known[scope], u.habit)
		}
	}
	return out, nil
}

// counted is of how many devices of each scope a condition is known, and for how many of
// them it holds.
type counted struct{ yes, known []int }

// countOf asks a condition of each device. A rule's share and surprise of the same
// condition are one count.
func (p *pass) countOf(t *task, u use) (counted, error) {
	b, text := t.bound, u.cond.String()
	if n, ok := p.counts[t][text]; ok {
		return n, nil
	}
	program := b.conds[u.cond]
	var columns [][]float64
	for _, inner := range program.uses {
		c := p.columns[p.key(t, inner)]
		if c.err != nil {
			return counted{}, c.err
		}
		columns = append(columns, c.value)
	}
	n := counted{make([]int, b.scopes), make([]int, b.scopes)}
	p.prepare(program, len(b.scopeOf))
	for lo := 0; lo < len(b.scopeOf); lo += blockRows {
		hi := min(lo+blockRows, len(b.scopeOf))
		p.run(program, columns, lo, hi)
		truth := p.view[program.when]
		for row := lo; row < hi; row++ {
			if !p.takesPart(b, row) {
				continue
			}
			switch scope := b.scopeOf[row]; truth[row-lo] {
			case 1:
				n.yes[scope]++
				n.known[scope]++
			case 0:
				n.known[scope]++
			}
		}
	}
	if p.counts[t] == nil {
		p.counts[t] = map[string]counted{}
	}
	p.counts[t][text] = n
	return n, nil
}

func shareOf(yes, known int, _ float64) float64 { return float64(yes) / float64(known) }

// surpriseOf is −log10 of the upper tail of the binomial distribution: of the chance
// that yes or more of known devices fulfil what each fulfils with the chance habit.
// It is 0 where no more do than usual.
func surpriseOf(yes, known int, habit float64) float64 {
	n, k := float64(known), float64(yes)
	if k <= n*habit {
		return 0
	}
	logChoose := func(i float64) float64 {
		a, _ := math.Lgamma(n + 1)
		b, _ := math.Lgamma(i + 1)
		c, _ := math.Lgamma(n - i + 1)
		return a - b - c
	}
	first := logChoose(k) + k*math.Log(habit) + (n-k)*math.Log1p(-habit)
	sum, term := 1.0, 1.0
	for i := k; i < n && term > 1e-12*sum; i++ { // each term by the one before it
		term *= (n - i) / (i + 1) * habit / (1 - habit)
		sum += term
	}
	return -(first + math.Log(sum)) / math.Ln10
}
