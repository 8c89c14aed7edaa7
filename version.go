package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"belfry/warehouse/chdb"
)

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

// buildVersion returns the module's version, or the revision it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value
		}
	}
	return info.Main.Version
}

// Run prints the version.
func (c *versionCommand) Run(t *terminal) error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		Engine  string `json:"engine"`
		System  string `json:"system"`
	}{buildVersion(), runtime.Version(), chdb.Version, runtime.GOOS + "/" + runtime.GOARCH}
	if c.JSON {
		return t.printJSON(v)
	}
	_, err := fmt.Fprintf(t.out, "belfry %s (%s, %s, ClickHouse engine %s)\n", v.Version, v.Go, v.System, v.Engine)
	return err
}
