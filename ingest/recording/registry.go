package recording

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"belfry/telemetry"
)

// ReadRegistry reads sites and devices from a file: YAML with the lists sites
// and devices, or CSV, either of devices (a column name, and for their sites
// columns such as site.zone) or of sites (columns id and zone). The defaults are
// filled in. The error holds every fault of the file, one on each line, as
// "file:line:col: what is wrong; what is wanted"; then nothing is returned.
func ReadRegistry(path string) (sites []telemetry.Site, devices []telemetry.Device, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read registry: %w", err)
	}
	r := &registry{path: path, sites: map[string]int{}, devices: map[string]int{}}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		r.readCSV(text)
	case ".yaml", ".yml", ".json":
		r.readYAML(text)
	default:
		return nil, nil, fmt.Errorf("read registry %s: its name doesn't tell the format; want .csv or .yaml", path)
	}
	if len(r.faults) > 0 {
		return nil, nil, errors.Join(r.faults...)
	}
	for i := range r.siteList {
		sites = append(sites, r.siteList[i].Site)
	}
	for i := range r.deviceList {
		devices = append(devices, r.deviceList[i].Device)
	}
	return sites, devices, nil
}

// place is where something stands in the file.
type place struct{ line, column int }

type placedSite struct {
	telemetry.Site
	at place
}

type placedDevice struct {
	telemetry.Device
	at place
}

// registry gathers what a file holds and what is wrong with it.
type registry struct {
	path       string
	siteList   []placedSite
	deviceList []placedDevice
	sites      map[string]int // place in siteList by id
	devices    map[string]int // place in deviceList by name
	faults     []error
}

func (r *registry) fault(at place, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s:%d:%d: %s", r.path, at.line, at.column, fmt.Sprintf(format, args...)))
}

func (r *registry) addSite(s telemetry.Site, at place) {
	if err := s.Check(); err != nil {
		r.fault(at, "%v", err)
		return
	}
	if i, twice := r.sites[s.ID]; twice {
		r.fault(at, "site %s is there already, in line %d; want each site once", s.ID, r.siteList[i].at.line)
		return
	}
	r.sites[s.ID] = len(r.siteList)
	r.siteList = append(r.siteList, placedSite{s, at})
}

func (r *registry) addDevice(d telemetry.Device, at place) {
	if err := d.Check(); err != nil {
		r.fault(at, "%v", err)
		return
	}
	if i, twice := r.devices[d.Name]; twice {
		r.fault(at, "device %s is there already, in line %d; want each device once", d.Name, r.deviceList[i].at.line)
		return
	}
	r.devices[d.Name] = len(r.deviceList)
	r.deviceList = append(r.deviceList, placedDevice{d, at})
}

func (r *registry) readCSV(text []byte) {
	c := csv.NewReader(bytes.NewReader(text))
	c.TrimLeadingSpace = true
	header, err := c.Read()
	if err != nil {
		r.fault(place{1, 1}, "no header: %v; want the columns name, site, ... or id, zone, ...", err)
		return
	}
	t, ok := r.header(c, header)
	if !ok {
		return
	}
	for {
		cells, err := c.Read()
		var broken *csv.ParseError
		switch {
		case errors.As(err, &broken):
			r.fault(place{broken.Line, broken.Column}, "%v; want %d fields", broken.Err, len(header))
			if !errors.Is(err, csv.ErrFieldCount) {
				return // where the next row begins is not known
			}
			continue
		case err != nil:
			return
		}
		r.csvRow(c, t, cells)
	}
}
