package analyzer

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheShortNotation(t *testing.T) {
	for text, want := range map[string]string{
		"10":              "[10]",
		"10x3 _ 4":        "[10 10 10 NaN 4]",
		"_x2 -1.5":        "[NaN NaN -1.5]",
		"10+2x4 10-5x3":   "[10 12 14 16 10 5 0]",
		"(0 (1x2 _)x2)x2": "[0 1 1 NaN 1 1 NaN 0 1 1 NaN 1 1 NaN]",
		"(100~3x2)x2":     "[103 100 97 103]",
		"1e3x2":           "[1000 1000]",
	} {
		if got, err := parseSeries(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: got %v, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "x3": "no value", "1x0": "repetitions", "1xx": "repetitions", "(1 2": "not closed", "1)": "closes nothing",
		"(1)x9999999": "repeated", "()x9 1": "empty", "NaN": "no value", "inf": "no value", "((((((((((1))))))))))": "nest", "1x1048576 1": "more than",
	} {
		if got, err := parseSeries(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func FuzzSeries(f *testing.F) {
	f.Add("10x24 _x3 (0 1+2x4)x7")
	f.Fuzz(func(t *testing.T, text string) {
		if values, err := parseSeries(text); err == nil && (len(values) == 0 || len(values) > maxSeries) {
			t.Errorf("%q gives %d values", text, len(values))
		}
	})
}

// casesOf loads tests of the offline rule.
func casesOf(text string) (*Cases, error) { return casesOfRule(offlineRule, text) }

// casesOfRule loads tests of a rule.
func casesOfRule(rule, text string) (*Cases, error) {
	return LoadCases(File{"t.yaml", []byte(text)}, func(string) ([]File, error) { return []File{{"rule.yaml", []byte(rule)}}, nil })
}

// holds wants one test that was loaded, and that all it expects is so.
func holds(t *testing.T, cases *Cases, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	results, err := cases.Run(t.Context())
	if err != nil || len(results) != 1 {
		t.Fatalf("got %+v, %v", results, err)
	}
	for _, f := range results[0].Failures {
		t.Error(f)
	}
}

func TestEveryFaultOfATestFileIsListed(t *testing.T) {
	_, err := casesOf(`
rules: [rule.yaml]
tests:
  - name: wrong all over
    zone: Mars/Olympus
    start: yesterday
    sites: [{ id: a, zonne: UTC }]
    series:
      - { device: door, heartbeat: 1x }
      - { in: 3 }
      - { device: door }
      - { device: door, in: -3 }
    expect:
      - { at: 2026-03-02 08:00 }
      - { at: 2026-03-01 08:00, findings: [{ scope: door, is: on }] }
      - { findings: [] }
more: 1
`)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{
		`t.yaml:5:11: no time zone "Mars/Olympus"`, `t.yaml:6:12: start: "yesterday" is no time`, `t.yaml:7:13: unknown field "zonne"`, `t.yaml:9:36: heartbeat: "x" is no number of repetitions`,
		`t.yaml:10:9: the series has no device`, `t.yaml:11:9: the series has no values`, `t.yaml:12:29: in: -3 is not a number of people`,
		`t.yaml:14:9: the expectation says nothing`, `t.yaml:15:63: a finding is never "on"`, `not in the order of time`, `t.yaml:16:9: the expectation has no time`,
		`t.yaml:17:1: unknown key "more"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the faults:\n%v", want, err)
		}
	}
	if _, err := casesOf("rules: [x]"); err == nil || !strings.Contains(err.Error(), "holds no tests") {
		t.Errorf("a file without tests: %v", err)
	}
}

func TestALateReadingArrivesLate(t *testing.T) {
	cases, err := casesOf(`
rules: [rule.yaml]
tests:
  - name: a silence that ends in the data and not yet here
    start: 2026-03-02 08:00
    series:
      - { device: door, heartbeat: 1x90, late: 80h }
      - { device: door, temp: 20x2, start: 2026-03-01 08:00 }
    expect:
      - { at: 2026-03-05 08:00, findings: [{ scope: door, rule: offline, value: 94h }] }
      - { at: 2026-03-05 18:00, findings: [] , firing: ["device:door"] }
`)
	if err != nil {
		t.Fatal(err)
	}
	results, err := cases.Run(t.Context())
	if err != nil || len(results) != 1 || len(results[0].Failures) != 1 || !strings.Contains(results[0].Failures[0].String(), "got firing door by offline with 25") {
		t.Fatalf("got %+v, %v", results, err)
	}
}
