package dashboards

import "testing"

func TestValuesHaveTheirUnitsAndColours(t *testing.T) {
	built, err := all()
	if err != nil {
		t.Fatal(err)
	}
	looks := map[string]look{}
	for name, d := range built {
		for _, p := range d.Panels {
			for _, column := range []string{"", "silence", "complete", "site"} {
				looks[name+": "+*p.Panel.Title+": "+column] = lookOf(*p.Panel, column)
			}
		}
	}
	for _, c := range []struct {
		look       string
		value      any
		says, tone string
	}{
		{"fleet: Silent devices: silence", 7200.0, "2 h", "yellow"},
		{"fleet: Silent devices: silence", 172800.0, "2 d", "red"},
		{"fleet: Silent devices: site", "rome", "rome", "text"},
		{"fleet: Worst devices: complete", 80.0, "80 %", "yellow"},
		{"fleet: Devices alive: ", 0.0, "0", "red"},
		{"device: Clock: ", -130.0, "-2.17 min", "red"},
		{"device: Clock: ", -1.5, "-1.5 s", "green"},
		{"device: Signal: ", nil, "–", "text"},
		{"device: The device: site", map[string]any{"model": "Lynx", "door": "1"}, "door: 1, model: Lynx", "text"},
		{"capacity: Disk free: ", 536870912.0, "512 MiB", "red"},
		{"capacity: Days to full: ", 40.0, "40 days", "green"},
	} {
		l := looks[c.look]
		if says, tone := l.says(c.value), l.colour(c.value); says != c.says || tone != c.tone {
			t.Errorf("%s %v: got %q in %s, want %q in %s", c.look, c.value, says, tone, c.says, c.tone)
		}
	}
}
