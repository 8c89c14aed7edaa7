package dashboards

import (
	"encoding/json"
	"slices"
	"testing"
)

// unbounded are the panels for whose values there is no good or bad, with why.
var unbounded = map[string]string{
	"fleet: People counted by hour":        "how many people come is no fault of a device, and differs by site",
	"site: People counted by hour":         "how many people come is no fault of a device, and differs by site",
	"site: Beside what is usual":           "its band is the bound, and comes with the data",
	"device: The device":                   "text out of the registry",
	"device: Readings":                     "how many people come is no fault of a device, and differs by door",
	"device: Messages by hour":             "how many are due depends on the device's own intervals",
	"incidents: Resolved per hour":         "many are good, and few are good when few are open",
	"incidents: Held back per hour":        "much is held back in a storm, as it should be",
	"incidents: Held back now":             "much is held back in a storm, as it should be",
	"pipeline: Scopes by condition":        "how many fire depends on how large the fleet is",
	"pipeline: ClickHouse door":            "how much is asked is up to those who ask; the door has limits of its own",
	"capacity: Warehouse":                  "what is too much depends on the disk: Disk free and Days to full say it",
	"capacity: Growth per day":             "what is too much depends on the disk: Disk free and Days to full say it",
	"capacity: Warehouse by table":         "what is too much depends on the disk: Disk free and Days to full say it",
	"capacity: Memory":                     "what is too much depends on the machine",
	"capacity: Processor":                  "what is too much depends on the machine",
	"capacity: Bytes for each row":         "depends on what devices send and how large the fleet is",
	"capacity: Tenants":                    "as many as there are",
	"capacity: Readings per day":           "how many are due depends on how large the fleet is",
	"capacity: Devices that send, per day": "how many are due depends on how large the fleet is",
}

// fieldConfig is how a panel's values are shown.
type fieldConfig struct {
	Defaults struct {
		Unit       string
		Thresholds bounds
	}
	Overrides []struct {
		Properties []struct {
			ID    string
			Value json.RawMessage
		}
	}
}

type bounds struct {
	Mode  string
	Steps []struct {
		Color string
		Value *float64
	}
}

// checkBounds holds that a panel, or a column of it, has bounds that rise, unless
// it is known why it has none.
func checkBounds(t *testing.T, panel string, c fieldConfig) {
	t.Helper()
	all := []bounds{c.Defaults.Thresholds}
	for _, o := range c.Overrides {
		for _, p := range o.Properties {
			var b bounds
			if p.ID == "thresholds" && json.Unmarshal(p.Value, &b) == nil {
				all = append(all, b)
			}
		}
	}
	all = slices.DeleteFunc(all, func(b bounds) bool { return len(b.Steps) == 0 })
	why, excused := unbounded[panel]
	switch {
	case excused && len(all) > 0:
		t.Errorf("%s has bounds, and a reason to have none: %s", panel, why)
	case !excused && len(all) == 0:
		t.Errorf("%s has no thresholds", panel)
	}
	for _, b := range all {
		for i, s := range b.Steps {
			if b.Mode != "absolute" || len(b.Steps) < 2 || s.Color == "" || (s.Value == nil) != (i == 0) || i > 1 && *s.Value <= *b.Steps[i-1].Value {
				t.Errorf("%s: bounds %+v; want at least two steps that rise from one without a value", panel, b)
			}
		}
	}
}

// TestReasonsAreOfPanels holds that each reason is of a panel that is there.
func TestReasonsAreOfPanels(t *testing.T) {
	queries, err := Queries()
	if err != nil {
		t.Fatal(err)
	}
	for panel, why := range unbounded {
		if why == "" || !slices.ContainsFunc(queries, func(q Query) bool { return q.Dashboard+": "+q.Panel == panel }) {
			t.Errorf("no panel %q, or no reason", panel)
		}
	}
}
