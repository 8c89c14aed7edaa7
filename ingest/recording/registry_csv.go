package recording

import (
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/telemetry"
)

// table says what the columns of a registry CSV are.
type table struct {
	columns []string
	ofSites bool
}

// setters put a cell where it belongs; the error says what is wanted.
var deviceSetters = map[string]func(*telemetry.Device, string) error{
	"name":             func(d *telemetry.Device, s string) error { d.Name = s; return nil },
	"site":             func(d *telemetry.Device, s string) error { d.Site = s; return nil },
	"status":           func(d *telemetry.Device, s string) error { d.Status = telemetry.DeviceStatus(s); return nil },
	"heartbeat_every":  func(d *telemetry.Device, s string) error { return seconds(&d.HeartbeatEvery, s) },
	"reading_every":    func(d *telemetry.Device, s string) error { return seconds(&d.ReadingEvery, s) },
	"in_service_since": func(d *telemetry.Device, s string) error { return instant(&d.InServiceSince, s) },
	"retired_at":       func(d *telemetry.Device, s string) error { return instant(&d.RetiredAt, s) },
}

var siteSetters = map[string]func(*telemetry.Site, string) error{
	"id":      func(t *telemetry.Site, s string) error { t.ID = s; return nil },
	"name":    func(t *telemetry.Site, s string) error { t.Name = s; return nil },
	"zone":    func(t *telemetry.Site, s string) error { t.Zone = s; return nil },
	"status":  func(t *telemetry.Site, s string) error { t.Status = telemetry.SiteStatus(s); return nil },
	"contact": func(t *telemetry.Site, s string) error { t.Contact = s; return nil },
	"holidays": func(t *telemetry.Site, s string) (err error) {
		t.Holidays, err = telemetry.ParseHolidays(s)
		return err
	},
}

func seconds(to *int, text string) (err error) {
	if *to, err = strconv.Atoi(text); err != nil {
		return fmt.Errorf("%q; want whole seconds, such as 900", text)
	}
	return nil
}

func instant(to *time.Time, text string) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			*to = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%q; want a time like 2026-03-27T11:00:00Z, or a date", text)
}

// setSite sets one property of a site: one of siteSetters, label.X or hours.DAY.
func setSite(s *telemetry.Site, name, text string) error {
	switch {
	case siteSetters[name] != nil:
		return siteSetters[name](s, text)
	case strings.HasPrefix(name, "label."):
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[name[len("label."):]] = text
		return nil
	}
	if date, ok := strings.CutPrefix(name, "exception."); ok {
		e, err := telemetry.ParseException(date, text)
		s.Exceptions = append(s.Exceptions, e)
		return err
	}
	return s.Hours.Add(strings.TrimPrefix(name, "hours."), text)
}

func siteColumn(name string) bool {
	return siteSetters[name] != nil || len(name) > 6 && (strings.HasPrefix(name, "label.") || strings.HasPrefix(name, "hours.") || strings.HasPrefix(name, "exception."))
}

func deviceColumn(name string) bool {
	site, ofSite := strings.CutPrefix(name, "site.")
	return deviceSetters[name] != nil || len(name) > 6 && strings.HasPrefix(name, "label.") ||
		ofSite && site != "id" && siteColumn(site)
}

// header checks the columns of a registry CSV.
func (r *registry) header(c *csv.Reader, names []string) (table, bool) {
	t := table{columns: names, ofSites: slices.Contains(names, "id") && slices.Contains(names, "zone")}
	known, wanted := deviceColumn, slices.Sorted(maps.Keys(deviceSetters))
	if t.ofSites {
		known, wanted = siteColumn, slices.Sorted(maps.Keys(siteSetters))
	}
	before := len(r.faults)
	for i, name := range names {
		line, column := c.FieldPos(i)
		switch {
		case !known(name):
			hint := "label.NAME or site.zone, site.name, site.hours.mon-fri, site.exception.05-01, ..."
			if t.ofSites {
				hint = "label.NAME or hours.mon-fri, exception.05-01, ..."
			}
			r.fault(place{line, column}, "no column %q; want %s, %s", name, strings.Join(wanted, ", "), hint)
		case slices.Contains(names[:i], name):
			r.fault(place{line, column}, "column %s is there twice; want it once", name)
		}
	}
	if !t.ofSites && !slices.Contains(names, "name") {
		r.fault(place{1, 1}, "no column name (of devices), nor id and zone (of sites); want one or the other")
	}
	return t, len(r.faults) == before
}

// csvRow takes one row: a site, or a device with what it says about its site.
func (r *registry) csvRow(c *csv.Reader, t table, cells []string) {
	var d telemetry.Device
	var s telemetry.Site
	before := len(r.faults)
	line, column := c.FieldPos(0)
	at := place{line, column}
	said := false
	for i, name := range t.columns {
		text := strings.TrimSpace(cells[i])
		if text == "" {
			continue
		}
		of, isSite := strings.CutPrefix(name, "site.")
		var err error
		switch {
		case t.ofSites:
			err = setSite(&s, name, text)
		case isSite:
			err, said = setSite(&s, of, text), true
		case deviceSetters[name] != nil:
			err = deviceSetters[name](&d, text)
		default:
			if d.Labels == nil {
				d.Labels = map[string]string{}
			}
			d.Labels[name[len("label."):]] = text
		}
		if err != nil {
			line, column := c.FieldPos(i)
			r.fault(place{line, column}, "%s: %v", name, err)
		}
	}
	if len(r.faults) > before {
		return
	}
	if t.ofSites {
		r.addSite(s, at)
		return
	}
	r.addDevice(d, at)
	if said {
		s.ID = d.Site
		r.siteOfDevice(s, at)
	}
}

// siteOfDevice adds the site that a device's row describes. Rows of one site may
// repeat it, but not contradict each other.
func (r *registry) siteOfDevice(s telemetry.Site, at place) {
	i, known := r.sites[s.ID]
	if !known {
		r.addSite(s, at)
		return
	}
	if err := s.Check(); err != nil {
		r.fault(at, "%v", err)
		return
	}
	if was := r.siteList[i]; !sameSite(was.Site, s) {
		r.fault(at, "site %s is described otherwise in line %d; want the same in all its devices' rows", s.ID, was.at.line)
	}
}

func sameSite(a, b telemetry.Site) bool {
	sameDay := func(x, y []telemetry.Span) bool { return slices.Equal(x, y) }
	return a.Name == b.Name && a.Zone == b.Zone && a.Status == b.Status && a.Contact == b.Contact && a.Holidays == b.Holidays &&
		slices.Equal(a.Exceptions, b.Exceptions) && maps.Equal(a.Labels, b.Labels) && slices.EqualFunc(a.Hours[:], b.Hours[:], sameDay)
}
