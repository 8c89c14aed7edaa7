package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"belfry/warehouse/chdb"
)

type doctorCommand struct {
	JSON bool `help:"Print JSON."`
}

// diagnosis says what was looked at, how it is, and what helps.
type diagnosis struct {
	What   string `json:"what"`
	Status string `json:"status"` // ok, note or missing
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // a command, or what to change
}

const (
	diagnosisOK      = "ok"
	diagnosisNote    = "note"    // belfry runs without it
	diagnosisMissing = "missing" // belfry does not run without it
)

// Run prints what is there, what is missing, and the command that brings it. It
// fails when something is missing that belfry does not run without.
func (c *doctorCommand) Run(ctx context.Context, t *terminal) error {
	list := []diagnosis{
		checkEngine(t.config), checkFolder(t.config), checkDisk(t.config), checkParts(t.config),
		checkAddress(ctx, "API address", t.config.Listen, t.config.Data, "listen"),
	}
	if len(t.config.Log.Brokers) == 0 {
		list = append(list, checkAddress(ctx, "log address", t.config.Log.Listen, t.config.Data, "log.listen"))
	}
	for _, tool := range []struct{ name, program, purpose, remedy string }{
		{"Java", "java", "tests against a real Kafka", "apt-get install openjdk-17-jre-headless"},
		{"Maven", "mvn", "fetching that Kafka", "apt-get install maven"},
		{"PostgreSQL", "/usr/lib/postgresql/15/bin/postgres", "tests against PostgreSQL", "make setup-tests"},
		{"Prometheus", "promtool", "tests of metrics", "make setup-tests"},
	} {
		list = append(list, checkTool(tool.name, tool.program, tool.purpose, tool.remedy))
	}
	if err := c.print(t, list); err != nil {
		return err
	}
	for _, d := range list {
		if d.Status == diagnosisMissing {
			return fmt.Errorf("%s: %s", d.What, d.Remedy)
		}
	}
	return nil
}

func (c *doctorCommand) print(t *terminal, list []diagnosis) error {
	if c.JSON {
		return t.printJSON(list)
	}
	var rows [][]string
	for _, d := range list {
		rows = append(rows, []string{d.Status, d.What, d.Detail})
		if d.Remedy != "" {
			rows = append(rows, []string{"", "", "-> " + d.Remedy})
		}
	}
	return t.printTable("STATUS WHAT DETAIL", rows)
}

func checkEngine(c Config) diagnosis {
	if len(c.Warehouse.Addresses) > 0 {
		return diagnosis{"warehouse", diagnosisOK, fmt.Sprintf("ClickHouse servers at %v", c.Warehouse.Addresses), ""}
	}
	path, err := chdb.Find(c.Warehouse.Library)
	if err != nil {
		return diagnosis{"ClickHouse engine", diagnosisMissing, "its library is in none of the usual places", "make setup, or name its file in " + chdb.LibraryEnv}
	}
	return diagnosis{"ClickHouse engine", diagnosisOK, path, ""}
}

func checkFolder(c Config) diagnosis {
	if _, err := os.Stat(c.Data); errors.Is(err, os.ErrNotExist) {
		return diagnosis{"data folder", diagnosisOK, c.Data + " is not there yet; the first start makes it", ""}
	}
	f, err := openFolder(c.Data)
	var held *heldError
	switch {
	case errors.As(err, &held):
		return diagnosis{"data folder", diagnosisNote, held.Error(), ""}
	case err != nil:
		return diagnosis{"data folder", diagnosisMissing, err.Error(), "choose another folder with --data"}
	}
	defer f.close()
	return diagnosis{"data folder", diagnosisOK, f.path, ""}
}

func checkDisk(c Config) diagnosis {
	dir := c.Data
	for { // the folder itself need not be there yet
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return diagnosis{"disk", diagnosisNote, err.Error(), ""}
	}
	free := float64(fs.Bavail) * float64(fs.Bsize) / (1 << 30)
	d := diagnosis{"disk", diagnosisOK, fmt.Sprintf("%.1f GiB free for the data", free), ""}
	if free < 1 {
		d.Status, d.Remedy = diagnosisNote, "make room, or choose another folder with --data"
	}
	return d
}

// checkParts looks for parts that the engine has set aside because they were not
// whole, as after a disk that was full to the last byte.
func checkParts(c Config) diagnosis {
	const what = "parts set aside"
	if len(c.Warehouse.Addresses) > 0 {
		return diagnosis{what, diagnosisOK, "the ClickHouse servers' own matter", ""}
	}
	broken, err := filepath.Glob(filepath.Join(c.Data, "warehouse", "store", "*", "*", "detached", "broken*"))
	if err != nil || len(broken) == 0 {
		return diagnosis{what, diagnosisOK, "none", ""}
	}
	return diagnosis{what, diagnosisNote, fmt.Sprintf("%d that were not whole, the first %s", len(broken), broken[0]),
		"compare the counts of their days with a backup or the log (ingest/DESIGN.md, A full disk); then delete these folders"}
}

// checkAddress says whether the address can be listened on, or is that of the
// process that holds the folder.
func checkAddress(ctx context.Context, what, address, data, key string) diagnosis {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		l.Close()
		return diagnosis{what, diagnosisOK, address + " is free", ""}
	}
	if h := readHolder(data); h.API == "http://"+address || len(h.Brokers) > 0 && h.Brokers[0] == address {
		return diagnosis{what, diagnosisOK, fmt.Sprintf("%s is served by process %d", address, h.PID), ""}
	}
	return diagnosis{what, diagnosisNote, err.Error(), "choose another address with the configuration key " + key}
}

func checkTool(name, program, purpose, remedy string) diagnosis {
	path, err := exec.LookPath(program)
	if err != nil {
		return diagnosis{name, diagnosisNote, "not there; only needed for " + purpose, remedy}
	}
	return diagnosis{name, diagnosisOK, path, ""}
}
