package main

import (
	"fmt"

	"belfry/dashboards"
)

type dashboardCommand struct {
	Export  dashboardExportCommand  `cmd:"" help:"Write the Grafana dashboards and their provisioning files."`
	Preview dashboardPreviewCommand `cmd:"" help:"Draw the dashboards of a running belfry as SVG pictures."`
}

type dashboardExportCommand struct {
	Dir string `arg:"" help:"Folder to write into." type:"path"`
}

// Run writes the dashboards.
func (c *dashboardExportCommand) Run(t *terminal) error {
	if err := dashboards.Export(c.Dir); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "dashboards and provisioning files are in %s\n", c.Dir)
	return err
}
