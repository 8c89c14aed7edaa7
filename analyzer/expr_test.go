package analyzer

import (
	"math"
	"strings"
	"testing"

	"belfry/telemetry"
)

// evaluate computes a condition of a rule without signals' values: sum(in, 1h)
// is in, sum(out, 1h) out, silence() is missing.
func evaluate(t *testing.T, when string, in, out float64) float64 {
	t.Helper()
	rules := mustLoad(t, "rules: [{ name: a, scope: device, every: 5m, category: x, when: '"+when+" or silence() > 400d' }]")
	p := compile(rules.Rules[0], nil)
	columns := make([][]float64, len(p.uses))
	for i, u := range p.uses {
		columns[i] = []float64{map[string]float64{"in": in, "out": out, "": math.NaN()}[u.word]}
	}
	var r registers
	r.prepare(p, blockRows)
	r.run(p, columns, 0, 1)
	return r.view[p.leaves[0].holds][0]
}

func TestExpressions(t *testing.T) {
	const in, out = 100, 80
	for text, want := range map[string]float64{
		"sum(in, 1h) > 99":                       1,
		"sum(in, 1h) > 100":                      0,
		"sum(in, 1h) >= 100":                     1,
		"sum(in, 1h) < sum(out, 1h)":             0,
		"sum(in, 1h) <= sum(out, 1h)":            0,
		"sum(in, 1h) != sum(out, 1h)":            1,
		"sum(in, 1h) == 100.0":                   1,
		"sum(in, 1h) - sum(out, 1h) * 2 == -60":  1,
		"(sum(in, 1h) - sum(out, 1h)) * 2 == 40": 1,
		"-sum(in, 1h) + 200 == 100":              1,
		"sum(in, 1h) / sum(out, 1h) == 125%":     1,
		"sum(in, 1h) / (sum(out, 1h) - 80) > 1":  math.NaN(),
		"abs(sum(out, 1h) - sum(in, 1h)) / max(sum(in, 1h), sum(out, 1h)) > 10%": 1,
		"min(sum(in, 1h), sum(out, 1h), 7) == 7":                                 1,
		"sqrt(sum(in, 1h)) == 10":                                                1,
		"sqrt(-sum(in, 1h)) == 10":                                               math.NaN(),
		"ln(sum(in, 1h)) > 4.6":                                                  1,
		"ln(sum(in, 1h) - 100) > 4.6":                                            math.NaN(),
		"sum(in, 1h) * 10% == 10":                                                1,
		"sum(in, 1h) - 10 - 20 == 70":                                            1,
	} {
		if got := evaluate(t, text, in, out); got != want && !(got != got && want != want) {
			t.Errorf("%s: got %v; want %v", text, got, want)
		}
	}
}

func TestMissingIsNeitherTrueNorFalse(t *testing.T) {
	nan := math.NaN()
	values := []float64{0, 1, nan}
	and := [3][3]float64{{0, 0, 0}, {0, 1, nan}, {0, nan, nan}}
	or := [3][3]float64{{0, 1, nan}, {1, 1, 1}, {nan, 1, nan}}
	same := func(a, b float64) bool { return a == b || a != a && b != b }
	for i, a := range values {
		for j, b := range values {
			var got [2]float64
			logicKernel(opAnd, got[:1], []float64{a}, []float64{b})
			logicKernel(opOr, got[1:], []float64{a}, []float64{b})
			if !same(got[0], and[i][j]) || !same(got[1], or[i][j]) {
				t.Errorf("%v and %v: got %v, or: %v; want %v, %v", a, b, got[0], got[1], and[i][j], or[i][j])
			}
		}
		var got [1]float64
		logicKernel(opNot, got[:], []float64{a}, []float64{a})
		if !same(got[0], 1-a) {
			t.Errorf("not %v: got %v", a, got[0])
		}
	}
}

func TestUnitsGoTogether(t *testing.T) {
	for _, c := range []struct {
		a, b, want Unit
	}{
		{Duration, Duration, Duration}, {Number, Quantity, Quantity}, {Ratio, Number, Ratio},
		{Measured, Duration, Measured}, {Duration, Number, 0}, {Ratio, Quantity, 0}, {Truth, Truth, 0}, {Truth, Number, 0},
	} {
		for _, pair := range [][2]Unit{{c.a, c.b}, {c.b, c.a}} {
			got, ok := join(pair[0], pair[1])
			if ok != (c.want != 0) || ok && got != c.want {
				t.Errorf("%s beside %s: got %s, %v; want %s", pair[0], pair[1], got, ok, c.want)
			}
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"3d 4h": formatSeconds(3*86400 + 4*3600 + 100), "1h 30m": formatSeconds(5400), "15m": formatSeconds(900), "1d": formatSeconds(86399.9),
		"1.5s": formatSeconds(1.5), "-2m": formatSeconds(-120), "unknown": formatSeconds(math.NaN()), "12.5 %": formatPercent(0.12499), "3.14": formatNumber(3.14159), "0": formatNumber(-0.001),
	} {
		if got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestFiltersMatchFieldsAndLabels(t *testing.T) {
	site := &telemetry.Site{ID: "s1", Name: "North", Zone: "UTC", Status: telemetry.SiteOpen, Labels: map[string]string{"kind": "mall"}}
	device := &telemetry.Device{Name: "d1", Status: telemetry.DeviceActive, Labels: map[string]string{"model": "x1"}}
	for _, c := range []struct {
		field string
		value string
		want  bool
	}{
		{"site", "s1", true}, {"site.name", "North", true}, {"site.zone", "Europe/Paris", false}, {"site.status", "open", true},
		{"site.label.kind", "mall", true}, {"site.label.floor", "1", false}, {"device", "d1", true}, {"device.status", "retired", false},
		{"label.model", "x1", true}, {"device.label.model", "x2", false},
	} {
		if what, _ := checkField(c.field, telemetry.LevelDevice); what != "" {
			t.Errorf("%s: %s", c.field, what)
		}
		for _, not := range []bool{false, true} {
			if got, want := (Filter{{c.field, not, []string{"other", c.value}}}).matches(site, device), c.want != not; got != want {
				t.Errorf("%s, not %v: %s: got %v; want %v", c.field, not, c.value, got, want)
			}
		}
	}
}

// FuzzExpr: whatever is read can be written and read again, and says the same; a fault
// lies within the text.
func FuzzExpr(f *testing.F) {
	for _, text := range []string{"silence() > 72h", "abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10%", "not (last(\"core temp\") >= -40) and run(zero(in)) < 1h30m",
		"value() > 1e3 or share(silence() > 1d) != 2 %", "\"", "1..2", "((((", "a == b == c", "- - 3 * (4 - 5 - 6)", "not not a", "last(\"\\x00\\\\\")"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, fault := parseExpr(text)
		if fault != nil {
			if fault.pos < 0 || fault.pos > len(text) || fault.what == "" {
				t.Fatalf("%q: fault %+v", text, *fault)
			}
			return
		}
		once := n.String()
		again, fault := parseExpr(once)
		if fault != nil && strings.Contains(fault.what, "nests too deep") {
			return // with the parentheses that it is written with
		}
		if fault != nil {
			t.Fatalf("%q is written %q: %s at %d", text, once, fault.what, fault.pos)
		}
		if twice := again.String(); twice != once {
			t.Fatalf("%q is written %q and then %q", text, once, twice)
		}
	})
}
