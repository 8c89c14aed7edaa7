package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"belfry/ingest/recording"
	"belfry/telemetry"
	"belfry/telemetry/holidays"
)

type devicesCommand struct {
	Import   devicesImportCommand   `cmd:"" help:"Bring sites and devices in from a CSV or YAML file, all of them or none."`
	List     devicesListCommand     `cmd:"" help:"List the devices."`
	Holidays devicesHolidaysCommand `cmd:"" help:"List the places whose public holidays a site can have, or the holidays of one."`
}

type devicesImportCommand struct {
	File string `arg:"" help:"CSV or YAML file." type:"existingfile"`
	JSON bool   `help:"Print JSON."`
}

// registryFile is what an import carries.
type registryFile struct {
	Sites   []telemetry.Site   `json:"sites" yaml:"sites"`
	Devices []telemetry.Device `json:"devices" yaml:"devices"`
}

// Run imports the file.
func (c *devicesImportCommand) Run(ctx context.Context, t *terminal) error {
	var file registryFile
	var err error
	if file.Sites, file.Devices, err = recording.ReadRegistry(c.File); err != nil {
		return fmt.Errorf("nothing was imported:\n%w", err)
	}
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	if err := api.importRegistry(ctx, file); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(map[string]int{"sites": len(file.Sites), "devices": len(file.Devices)})
	}
	_, err = fmt.Fprintf(t.out, "%s and %s imported\n", counted(len(file.Sites), "site"), counted(len(file.Devices), "device"))
	return err
}

func (c *client) importRegistry(ctx context.Context, file registryFile) error {
	return c.call(ctx, "POST", "/api/v1/devices/import", file, nil)
}

type devicesListCommand struct {
	Site string `help:"Of this site alone." placeholder:"ID"`
	JSON bool   `help:"Print JSON."`
}

// Run lists the devices.
func (c *devicesListCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	devices, err := list[telemetry.Device](ctx, api, "/api/v1/devices", url.Values{"site": {c.Site}})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(devices)
	}
	var rows [][]string
	for _, d := range devices {
		status := string(d.Status)
		if d.SelfRegistered {
			status += " (registered itself)"
		}
		rows = append(rows, []string{d.Name, d.Site, status, when(d.InServiceSince)})
	}
	return t.printTable("DEVICE SITE STATUS IN-SERVICE-SINCE", rows)
}

type devicesHolidaysCommand struct {
	Place string `arg:"" optional:"" help:"Country or part of it, such as US or AU-VIC; none: list the places."`
	Year  int    `arg:"" optional:"" help:"Year; this one when left out."`
	JSON  bool   `help:"Print JSON."`
}

// Run lists places or dates.
func (c *devicesHolidaysCommand) Run(_ context.Context, t *terminal) error {
	head, rows := "PLACE NAME", [][]string{}
	if c.Place == "" {
		for _, p := range holidays.Places() {
			rows = append(rows, []string{p.Code, p.Name})
		}
	} else {
		place, err := holidays.Find(c.Place)
		if err != nil {
			return err
		}
		head = "DATE HOLIDAY"
		days := holidays.In(place, cmp.Or(c.Year, time.Now().Year()))
		for _, date := range slices.Sorted(maps.Keys(days)) {
			rows = append(rows, []string{date, days[date]})
		}
	}
	if !c.JSON {
		return t.printTable(head, rows)
	}
	first, second, _ := strings.Cut(strings.ToLower(head), " ")
	items := []map[string]string{}
	for _, row := range rows {
		items = append(items, map[string]string{first: row[0], second: row[1]})
	}
	return t.printJSON(items)
}

// list reads all pages of a list.
func list[T any](ctx context.Context, c *client, path string, query url.Values) ([]T, error) {
	for key, values := range query {
		if values[0] == "" {
			delete(query, key)
		}
	}
	all := []T{}
	query.Set("limit", "500")
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := c.call(ctx, "GET", path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("cursor", page.Next)
	}
}
