package analyzer

import (
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

const labelHead = "dataset,device,start,end,kind,basis,note\n"

func TestFindingsAreScoredAgainstLabels(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	labels, err := ReadLabels(strings.NewReader(labelHead+
		"x,a,2026-06-01T00:00:00,2026-06-01T24:00:00,no_rows,source,\n"+
		"x,a,2026-06-10T00:00:00,2026-06-11T00:00:00,no_rows,source,nobody finds it\n"+
		"x,b/nb,2026-06-02T00:00:00,2026-06-03T00:00:00,in_out_discrepancy,source,by its site\n"+
		"y,a,2026-06-02T00:00:00,2026-06-03T00:00:00,no_rows,source,another dataset\n"+
		"x,a,2025-06-02T00:00:00,2025-06-03T00:00:00,no_rows,source,before the report\n"), "x", func(string) *time.Location { return zone })
	if err != nil || len(labels) != 4 || !labels[0].End.Equal(utc(t, "2026-06-01 22:00")) {
		t.Fatalf("read %v, %v", labels, err)
	}
	device := func(name string) telemetry.Scope { return telemetry.Scope{Level: telemetry.LevelDevice, Name: name} }
	shop := telemetry.Scope{Level: telemetry.LevelSite, Name: "shop"}
	finding := func(rule, category string, s telemetry.Scope, at string, c telemetry.Condition) telemetry.Finding {
		return telemetry.Finding{Rule: rule, Category: category, Scope: s, At: utc(t, at), Condition: c}
	}
	r := Report{From: utc(t, "2026-05-01 00:00"), To: utc(t, "2026-07-01 00:00"), Findings: []telemetry.Finding{
		finding("offline", "suspected_offline", device("a"), "2026-06-01 10:00", telemetry.Firing),
		finding("offline", "suspected_offline", device("a"), "2026-06-01 12:00", telemetry.Unknown),
		finding("offline", "suspected_offline", device("a"), "2026-06-02 10:00", telemetry.Clear),
		finding("spike", "unusual_high", device("a"), "2026-06-10 10:00", telemetry.Firing), // not what answers no_rows
		finding("differ", "in_out_discrepancy", shop, "2026-06-03 05:00", telemetry.Firing),
		finding("offline", "suspected_offline", device("b"), "2026-06-20 10:00", telemetry.Firing),
	}}
	r.Score(labels, func(string) string { return "shop" })
	if len(r.Kinds) != 2 || r.Kinds[1].Spans != 2 || r.Kinds[1].Found != 1 || r.Kinds[1].Recall != 0.5 || r.Kinds[1].Detect != 12*time.Hour ||
		r.Kinds[0].Found != 1 || r.Kinds[0].By["differ"] != 1 || r.Kinds[0].Detect != 31*time.Hour {
		t.Errorf("kinds: got %+v", r.Kinds)
	}
	if len(r.Precision) != 3 || r.Precision[1].Opened != 2 || r.Precision[1].Precision != 0.5 || r.Precision[2].Precision != 1 {
		t.Errorf("precision: got %+v", r.Precision)
	}
}

// TestLabelsOfASimulatedFleet: their stamps say their zone, and one may be about a site.
func TestLabelsOfASimulatedFleet(t *testing.T) {
	labels, err := ReadLabels(strings.NewReader(labelHead+
		"simulated,a,2026-06-01T10:00:00Z,2026-06-05T10:00:00+02:00,offline,injected,\n"+
		"simulated,shop,2026-06-01T10:00:00Z,2026-06-05T10:00:00Z,in_out_discrepancy,injected,all devices of the site\n"), "", func(string) *time.Location { return time.UTC })
	if err != nil || !labels[0].End.Equal(utc(t, "2026-06-05 08:00")) {
		t.Fatalf("read %v, %v", labels, err)
	}
	siteOf := func(device string) string { return map[string]string{"a": "shop", "b": "other"}[device] }
	for _, c := range []struct {
		label int
		scope string
		level telemetry.Level
		want  bool
	}{
		{0, "a", telemetry.LevelDevice, true}, {0, "shop", telemetry.LevelSite, true}, {0, "b", telemetry.LevelDevice, false},
		{1, "shop", telemetry.LevelSite, true}, {1, "a", telemetry.LevelDevice, true}, {1, "b", telemetry.LevelDevice, false}, {1, "other", telemetry.LevelSite, false},
	} {
		if got := labels[c.label].about(telemetry.Scope{Level: c.level, Name: c.scope}, siteOf); got != c.want {
			t.Errorf("is the label of %s about %s %s: got %v; want %v", labels[c.label].Device, c.level, c.scope, got, c.want)
		}
	}
}

func TestLabelsThatCantBeRead(t *testing.T) {
	for text, want := range map[string]string{"": "columns", "device,start\n": "columns", labelHead + "x,a,today,2026-06-01T00:00:00,k,s,n\n": "line 2", labelHead + "x,a\n": "wrong number of fields"} {
		if _, err := ReadLabels(strings.NewReader(text), "", func(string) *time.Location { return time.UTC }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want an error with %q", text, err, want)
		}
	}
}
