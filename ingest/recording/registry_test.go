package recording

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"belfry/telemetry"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestReadRegistry(t *testing.T) {
	open := telemetry.Span{From: 9 * 60, To: 20 * 60}
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		file    string
		sites   []telemetry.Site
		devices []telemetry.Device
	}{
		{"testdata/good.yaml", []telemetry.Site{{
			ID: "mall-paris", Name: "Mall of Paris", Zone: "Europe/Paris", Status: telemetry.SiteOpen,
			Hours:      telemetry.Hours{{{From: 600, To: 1080}}, {open}, {open}, {open}, {open}, {open}, {open}},
			Exceptions: []telemetry.Exception{{Date: "2026-12-25", Closed: true, Note: "Christmas"}},
			Holidays:   telemetry.Holidays{Of: "FR", Closed: true},
			Labels:     map[string]string{"kind": "indoor"}, Contact: "manager@example.com",
		}}, []telemetry.Device{
			{Name: "FC-1", Site: "mall-paris", Status: telemetry.DeviceActive, HeartbeatEvery: 900, ReadingEvery: 900, InServiceSince: since},
			{Name: "FC-2", Site: "mall-paris", Status: telemetry.DeviceRetired, ReadingEvery: 60},
		}},
		{"testdata/good.csv", []telemetry.Site{{
			ID: "mall-paris", Name: "mall-paris", Zone: "Europe/Paris", Status: telemetry.SiteOpen,
			Hours: telemetry.Hours{nil, {open}, {open}, {open}, {open}, {open}}, Labels: map[string]string{"kind": "indoor"},
			Holidays: telemetry.Holidays{Of: "DE-BY", As: "sun"},
		}}, []telemetry.Device{
			{Name: "FC-1", Site: "mall-paris", Status: telemetry.DeviceActive, HeartbeatEvery: 300, ReadingEvery: 900, InServiceSince: since, Labels: map[string]string{"floor": "0"}},
			{Name: "FC-2, rear", Site: "mall-paris", Status: telemetry.DeviceActive, ReadingEvery: 900, InServiceSince: since, Labels: map[string]string{"floor": "1"}},
		}},
		{"testdata/sites.csv", []telemetry.Site{{
			ID: "kiosk", Name: "Kiosk", Zone: "UTC", Status: telemetry.SiteRefit,
			Hours:      telemetry.Hours{{{From: 480, To: 720}}, {{From: 480, To: 720}}, {{From: 480, To: 720}}, {{From: 480, To: 720}}, {{From: 480, To: 720}}, {{From: 480, To: 720}}, {{From: 480, To: 720}}},
			Exceptions: []telemetry.Exception{{Date: "05-01", As: "sun", NoAlarms: true}, {Date: "2026-12-24", Hours: "09:00-14:00", Learn: true}},
			Holidays:   telemetry.Holidays{Of: "NO", Closed: true, NoAlarms: true},
		}}, nil},
	} {
		sites, devices, err := ReadRegistry(tt.file)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if diff := cmp.Diff(tt.sites, sites); diff != "" {
			t.Errorf("%s: sites (-want +got):\n%s", tt.file, diff)
		}
		if diff := cmp.Diff(tt.devices, devices); diff != "" {
			t.Errorf("%s: devices (-want +got):\n%s", tt.file, diff)
		}
		text, err := yaml.Marshal(map[string]any{"sites": sites, "devices": devices})
		if err != nil {
			t.Fatal(err)
		}
		sites, devices, err = ReadRegistry(write(t, "again.yaml", string(text)))
		if diff := cmp.Diff(tt.sites, sites) + cmp.Diff(tt.devices, devices); err != nil || diff != "" {
			t.Errorf("%s, written as YAML and read again: %v (-want +got):\n%s", tt.file, err, diff)
		}
	}
}

func TestReadRegistryListsEveryFault(t *testing.T) {
	for _, file := range []string{"testdata/bad.yaml", "testdata/bad.csv", "testdata/header.csv"} {
		sites, devices, err := ReadRegistry(file)
		if err == nil || sites != nil || devices != nil {
			t.Errorf("%s: got %v, %v and error %v; want nothing but an error", file, sites, devices, err)
			continue
		}
		got := err.Error() + "\n"
		if *update {
			if err := os.WriteFile(file+".want", []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file + ".want")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	if _, _, err := ReadRegistry("testdata/none.yaml"); err == nil {
		t.Error("a file that is not there: got no error, want one")
	}
}
