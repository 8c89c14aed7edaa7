package analyzer

import (
	"math"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestAPictureShowsWhatWasUsual(t *testing.T) {
	batch := &telemetry.Batch{}
	start := utc(t, "2026-01-05 00:00")
	for i := range 6 * 168 {
		if i == 5*168+3 {
			continue // no reading
		}
		at := start.Add(time.Duration(i+1) * time.Hour)
		n := uint32(40 + i*i%101%7)
		if i == 5*168+9 {
			n = 900
		}
		addCount(batch, "door", at, at, n, 1)
	}
	at := start.Add((5*168 + 10) * time.Hour)
	f := telemetry.Finding{Rule: "spike", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: "door"}, At: at, Since: at, Summary: `<script>alert("door")</script>`}
	site, device := telemetry.Site{ID: "shop"}, telemetry.Device{Name: "door", Site: "shop", ReadingEvery: 3600}
	if site.Check() != nil || device.Check() != nil {
		t.Fatal("the site or the device is wrong")
	}
	p, err := NewPicture(t.Context(), f, site, device, batch)
	if err != nil || len(p.Hours) != 7*24 {
		t.Fatalf("got %d hours, %v; want 168", len(p.Hours), err)
	}
	seen := false
	for _, h := range p.Hours {
		seen = seen || h.In == 900
		if h.Known == h.End.Equal(start.Add((5*168+4)*time.Hour)) || math.IsNaN(h.Base) || h.Base < 40 || h.Base > 48 {
			t.Errorf("the hour that ended %s is %+v", h.End, h)
		}
	}
	if !seen {
		t.Error("the spike is not in the picture")
	}
	var page strings.Builder
	report := &Report{Rules: []RuleReport{{Rule: "spike", Opened: 1}}, Findings: []telemetry.Finding{f, f}, Ailments: []Ailment{{Rule: "drop", What: "the rule drop <fails>"}}}
	report.Findings[0].Condition, report.Findings[1].Condition = telemetry.Firing, telemetry.Firing
	if err := WritePage(&page, report, []*Picture{p}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, "<script>") || strings.Count(text, "<svg") != 1 || strings.Count(text, `class="gap"`) != 1 || !strings.Contains(text, `class="band"`) ||
		!strings.Contains(text, "first 1 are drawn, 1 more are not") || !strings.Contains(text, "the rule drop &lt;fails&gt;") {
		t.Errorf("the page is %s", text)
	}
}
