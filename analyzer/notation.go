package analyzer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxSeries is how many values one series of a rule test may have.
const maxSeries = 1 << 20

// parseSeries reads the short notation of a series, one value for each step:
//
//	10         10
//	10x24      24 values of 10
//	10+2x4     10 12 14 16 (and 10-2x4: 10 8 6 4)
//	100~9x4    four values from 91 to 109, always the same ones: days that are equal
//	           hour by hour count as copies, and nothing is learned from them
//	_ _x3      one missing value, three of them
//	(0x9 8x12 0x3)x7   what stands in parentheses, seven times
//
// A missing value is NaN.
func parseSeries(text string) ([]float64, error) {
	p := &seriesParser{rest: text}
	values, err := p.list(0)
	switch {
	case err != nil:
		return nil, err
	case p.rest != "":
		return nil, fmt.Errorf("%q closes nothing", ")")
	case len(values) == 0:
		return nil, fmt.Errorf("the series is empty")
	}
	return values, nil
}

type seriesParser struct {
	rest  string
	drawn uint64 // how many values were drawn around another
}

// around draws a whole number from -width to width. What is drawn depends on its
// place in the series alone (the mixer is SplitMix64's).
func (p *seriesParser) around(width float64) float64 {
	p.drawn++
	x := p.drawn * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return math.Floor(float64((x^x>>31)>>11)/(1<<53)*(2*width+1)) - math.Floor(width)
}

func (p *seriesParser) list(depth int) ([]float64, error) {
	var values []float64
	for {
		p.rest = strings.TrimLeft(p.rest, " \t\r\n")
		if p.rest == "" || p.rest[0] == ')' {
			return values, nil
		}
		more, err := p.item(depth)
		if err != nil {
			return nil, err
		}
		if values = append(values, more...); len(values) > maxSeries {
			return nil, fmt.Errorf("the series has more than %d values", maxSeries)
		}
	}
}

func (p *seriesParser) item(depth int) ([]float64, error) {
	if p.rest[0] != '(' {
		n := strings.IndexAny(p.rest, " \t\r\n()")
		if n < 0 {
			n = len(p.rest)
		}
		word := p.rest[:n]
		p.rest = p.rest[n:]
		return p.word(word)
	}
	if depth == 8 {
		return nil, fmt.Errorf("parentheses nest deeper than 8")
	}
	p.rest = p.rest[1:]
	inside := p.rest
	group, err := p.list(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.rest == "" {
		return nil, fmt.Errorf("a parenthesis is not closed")
	}
	p.rest = p.rest[1:]
	n := strings.IndexAny(p.rest, " \t\r\n()")
	if n < 0 {
		n = len(p.rest)
	}
	times, err := repeats(p.rest[:n])
	p.rest = p.rest[n:]
	if len(group) == 0 {
		return nil, fmt.Errorf("a group is empty")
	}
	if err != nil || len(group)*times > maxSeries {
		return nil, fmt.Errorf("a group is not repeated as in (1 2)x7, or makes more than %d values", maxSeries)
	}
	values, rest := group, p.rest
	for range times - 1 { // read again, so that what is drawn differs
		p.rest = inside
		more, err := p.list(depth + 1)
		if err != nil {
			return nil, err
		}
		values = append(values, more...)
	}
	p.rest = rest
	return values, nil
}

// word reads one word, such as 10, 10x24, 10+2x4, 100~9x4 or _x3.
func (p *seriesParser) word(word string) ([]float64, error) {
	body, tail, repeated := strings.Cut(word, "x")
	times := 1
	if repeated {
		var err error
		if times, err = repeats("x" + tail); err != nil {
			return nil, err
		}
	}
	first, step := missing, 0.0
	body, around, jitters := strings.Cut(body, "~")
	jitter, err := 0.0, error(nil)
	if jitters {
		if jitter, err = strconv.ParseFloat(around, 64); err != nil || jitter < 0 || number(jitter) == nil {
			return nil, fmt.Errorf("%q is no value", word)
		}
	}
	if body != "_" {
		sign := strings.LastIndexAny(body, "+-")
		start := body
		if sign > 0 && body[sign-1] != 'e' && body[sign-1] != 'E' {
			var err error
			if step, err = strconv.ParseFloat(body[sign:], 64); err != nil {
				return nil, fmt.Errorf("%q is no value", word)
			}
			start = body[:sign]
		}
		var err error
		if first, err = strconv.ParseFloat(start, 64); err != nil || number(first) == nil || number(step) == nil {
			return nil, fmt.Errorf("%q is no value", word)
		}
	}
	values := make([]float64, times)
	for i := range values {
		values[i] = first + float64(i)*step
		if jitters {
			values[i] += p.around(jitter)
		}
	}
	return values, nil
}

// repeats reads "x24"; nothing is once.
func repeats(text string) (int, error) {
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(text, "x"))
	if err != nil || text[0] != 'x' || n < 1 || n > maxSeries {
		return 0, fmt.Errorf("%q is no number of repetitions from x1 to x%d", text, maxSeries)
	}
	return n, nil
}
