// Package dashboards is the NOC's view as code: Grafana dashboards over
// belfry's ClickHouse views and its Prometheus metrics, and the provisioning
// files with which a stock Grafana picks them up.
//
// Out go files, and the list of all queries in them (Queries), so that a test
// can run each against a real engine. The package imports nothing of belfry: it
// depends on the names of views and metrics alone, which are a contract.
package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// all builds every dashboard, by the name of its file.
func all() (map[string]dashboard.Dashboard, error) {
	out := map[string]dashboard.Dashboard{}
	for name, builder := range map[string]*dashboard.DashboardBuilder{
		"fleet": fleetDashboard(), "site": siteDashboard(), "device": deviceDashboard(),
		"incidents": incidentsDashboard(), "pipeline": pipelineDashboard(), "capacity": capacityDashboard(),
	} {
		built, err := builder.Build()
		if err != nil {
			return nil, fmt.Errorf("build dashboard %s: %w", name, err)
		}
		out[name] = built
	}
	return out, nil
}

// Export writes the dashboards into dir/dashboards and the provisioning files
// into dir/provisioning, making the folders that are missing. A Grafana that is
// started with GF_PATHS_PROVISIONING=dir/provisioning shows them.
func Export(dir string) error {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("export dashboards: %w", err)
	}
	built, err := all()
	if err != nil {
		return fmt.Errorf("export dashboards: %w", err)
	}
	files := provisioning(filepath.Join(absolute, "dashboards"))
	for name, d := range built {
		text, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return fmt.Errorf("export dashboard %s: %w", name, err)
		}
		files[filepath.Join("dashboards", name+".json")] = string(text) + "\n"
	}
	for name, text := range files {
		if err := write(filepath.Join(absolute, name), text); err != nil {
			return fmt.Errorf("export dashboards: %w", err)
		}
	}
	return nil
}

// write replaces a file as a whole: a Grafana that watches the folder never sees
// half of one.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
