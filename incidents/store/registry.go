package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belfry/incidents"
	"belfry/telemetry"
)

var siteRows = bulk{
	into:    "sites (id, status, data, version, revision)",
	columns: 5,
	suffix: `ON CONFLICT (id) DO UPDATE SET status = excluded.status, data = excluded.data,
		version = sites.version + 1, revision = excluded.revision WHERE sites.data <> excluded.data`,
}

var deviceRows = bulk{
	into: `devices (name, site, status, labels, heartbeat_every, reading_every, in_service_since, retired_at,
		self_registered, version, revision)`,
	columns: 11,
	suffix: `ON CONFLICT (name) DO UPDATE SET site = excluded.site, status = excluded.status, labels = excluded.labels,
		heartbeat_every = excluded.heartbeat_every, reading_every = excluded.reading_every,
		in_service_since = excluded.in_service_since, retired_at = excluded.retired_at,
		self_registered = excluded.self_registered, version = devices.version + 1, revision = excluded.revision
		WHERE (devices.site, devices.status, devices.labels, devices.heartbeat_every, devices.reading_every,
			devices.in_service_since, devices.retired_at, devices.self_registered)
		IS DISTINCT FROM (excluded.site, excluded.status, excluded.labels, excluded.heartbeat_every, excluded.reading_every,
			excluded.in_service_since, excluded.retired_at, excluded.self_registered)`,
}

// PutSites makes the sites or brings them up to date.
func (t *Tickets) PutSites(ctx context.Context, sites []telemetry.Site) error {
	return t.Import(ctx, sites, nil)
}

// PutDevices makes the devices or brings them up to date.
func (t *Tickets) PutDevices(ctx context.Context, devices []telemetry.Device) error {
	return t.Import(ctx, nil, devices)
}

// Import makes sites and devices, or brings them up to date, all of them or
// none. The error is an InvalidError with every fault when there are any. The
// slices' elements get their defaults; what is the same as before keeps its
// version and revision.
func (t *Tickets) Import(ctx context.Context, sites []telemetry.Site, devices []telemetry.Device) error {
	err := t.update(ctx, func(tx *txn) error {
		known, err := siteIDs(ctx, tx)
		if err != nil {
			return err
		}
		if err := check(known, sites, devices); err != nil {
			return err
		}
		if err := putSites(ctx, tx, sites); err != nil {
			return err
		}
		return putDevices(ctx, tx, devices)
	})
	if err != nil {
		return fmt.Errorf("import %d sites and %d devices: %w", len(sites), len(devices), err)
	}
	return nil
}

// siteIDs returns the sites that there are.
func siteIDs(ctx context.Context, tx *txn) (map[string]bool, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM sites")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		known[id] = true
	}
	return known, rows.Err()
}

func check(known map[string]bool, sites []telemetry.Site, devices []telemetry.Device) error {
	var faults []incidents.Fault
	here := map[string]bool{}
	for i := range sites {
		s := &sites[i]
		switch err := s.Check(); {
		case err != nil:
			faults = append(faults, incidents.Fault{Field: fmt.Sprintf("sites[%d]", i), Wrong: err.Error()})
		case here[s.ID]:
			faults = append(faults, incidents.Fault{Field: fmt.Sprintf("sites[%d]", i), Wrong: fmt.Sprintf("site %s is here twice", s.ID)})
		}
		here[s.ID], known[s.ID] = true, true
	}
	named := make(map[string]bool, len(devices))
	for i := range devices {
		d := &devices[i]
		var wrong string
		switch err := d.Check(); {
		case err != nil:
			wrong = err.Error()
		case !known[d.Site]:
			wrong = fmt.Sprintf("device %s: no site %q", d.Name, d.Site)
		case named[d.Name]:
			wrong = fmt.Sprintf("device %s is here twice", d.Name)
		}
		named[d.Name] = true
		if wrong != "" {
			faults = append(faults, incidents.Fault{Field: fmt.Sprintf("devices[%d]", i), Wrong: wrong})
		}
	}
	if len(faults) > 0 {
		return &incidents.InvalidError{Faults: faults}
	}
	return nil
}

func putSites(ctx context.Context, tx *txn, sites []telemetry.Site) error {
	first, err := draw(ctx, tx, "registry", int64(len(sites)))
	if err != nil {
		return err
	}
	_, err = siteRows.insert(ctx, tx, len(sites), func(args []any, i int) ([]any, error) {
		data, err := json.Marshal(&sites[i])
		if err != nil {
			return nil, fmt.Errorf("write site %s: %w", sites[i].ID, err)
		}
		return append(args, sites[i].ID, string(sites[i].Status), string(data), 1, first+int64(i)), nil
	})
	return err
}

func putDevices(ctx context.Context, tx *txn, devices []telemetry.Device) error {
	first, err := draw(ctx, tx, "registry", int64(len(devices)))
	if err != nil {
		return err
	}
	_, err = deviceRows.insert(ctx, tx, len(devices), func(args []any, i int) ([]any, error) {
		return deviceArgs(args, &devices[i], first+int64(i))
	})
	return err
}

func deviceArgs(args []any, d *telemetry.Device, revision int64) ([]any, error) {
	labels := ""
	if len(d.Labels) > 0 {
		text, err := json.Marshal(d.Labels)
		if err != nil {
			return nil, fmt.Errorf("write the labels of %s: %w", d.Name, err)
		}
		labels = string(text)
	}
	return append(args, d.Name, d.Site, string(d.Status), labels, d.HeartbeatEvery, d.ReadingEvery,
		millis(d.InServiceSince), millis(d.RetiredAt), d.SelfRegistered, 1, revision), nil
}

// haveUnassigned makes the site of devices that registered themselves, once.
func haveUnassigned(ctx context.Context, tx *txn) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sites WHERE id = ?", telemetry.Unassigned).Scan(&n)
	if err != nil || n > 0 {
		return err
	}
	site := telemetry.Site{ID: telemetry.Unassigned, Name: "Unassigned"}
	if err := site.Check(); err != nil {
		return err
	}
	return putSites(ctx, tx, []telemetry.Site{site})
}

// RegisterDevices notes devices that have been heard of: their names, the arrival
// that they are in service since, and what they say of their interval. Those that
// are known are left alone. It returns how many were new.
func (t *Tickets) RegisterDevices(ctx context.Context, devices []telemetry.Device) (added int, err error) {
	err = t.update(ctx, func(tx *txn) error {
		first, err := draw(ctx, tx, "registry", int64(len(devices)))
		if err != nil {
			return err
		}
		rows := deviceRows
		rows.suffix = "ON CONFLICT (name) DO NOTHING"
		n, err := rows.insert(ctx, tx, len(devices), func(args []any, i int) ([]any, error) {
			d := telemetry.Device{Name: devices[i].Name, HeartbeatEvery: telemetry.DefaultHeartbeatEvery,
				ReadingEvery: devices[i].ReadingEvery, InServiceSince: devices[i].InServiceSince, SelfRegistered: true}
			if err := d.Check(); err != nil {
				return nil, err
			}
			return deviceArgs(args, &d, first+int64(i))
		})
		added = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("register %d devices: %w", len(devices), err)
	}
	return added, nil
}

// CreateSite makes a site, or returns ErrExists.
func (t *Tickets) CreateSite(ctx context.Context, s telemetry.Site) (incidents.SiteRow, error) {
	err := t.update(ctx, func(tx *txn) error {
		known, err := siteIDs(ctx, tx)
		switch {
		case err != nil:
			return err
		case known[s.ID]:
			return incidents.ErrExists
		}
		sites := []telemetry.Site{s}
		if err := check(known, sites, nil); err != nil {
			return err
		}
		return putSites(ctx, tx, sites)
	})
	if err != nil {
		return incidents.SiteRow{}, fmt.Errorf("make site %s: %w", s.ID, err)
	}
	return t.Site(ctx, s.ID)
}

// CreateDevice makes a device, or returns ErrExists.
func (t *Tickets) CreateDevice(ctx context.Context, d telemetry.Device) (incidents.DeviceRow, error) {
	err := t.update(ctx, func(tx *txn) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE name = ?", d.Name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return incidents.ErrExists
		}
		return putChecked(ctx, tx, d)
	})
	if err != nil {
		return incidents.DeviceRow{}, fmt.Errorf("make device %s: %w", d.Name, err)
	}
	return t.Device(ctx, d.Name)
}

func putChecked(ctx context.Context, tx *txn, d telemetry.Device) error {
	known, err := siteIDs(ctx, tx)
	if err != nil {
		return err
	}
	devices := []telemetry.Device{d}
	if err := check(known, nil, devices); err != nil {
		return err
	}
	return putDevices(ctx, tx, devices)
}

// UpdateSite changes a site that is at that version, or returns ErrStale or ErrNotFound.
func (t *Tickets) UpdateSite(ctx context.Context, s telemetry.Site, version int64) (incidents.SiteRow, error) {
	err := t.update(ctx, func(tx *txn) error {
		if err := atVersion(ctx, tx, "SELECT version FROM sites WHERE id = ?", s.ID, version); err != nil {
			return err
		}
		sites := []telemetry.Site{s}
		if err := check(map[string]bool{}, sites, nil); err != nil {
			return err
		}
		return putSites(ctx, tx, sites)
	})
	if err != nil {
		return incidents.SiteRow{}, fmt.Errorf("change site %s: %w", s.ID, err)
	}
	return t.Site(ctx, s.ID)
}

// UpdateDevice changes a device that is at that version, or returns ErrStale or ErrNotFound.
func (t *Tickets) UpdateDevice(ctx context.Context, d telemetry.Device, version int64) (incidents.DeviceRow, error) {
	err := t.update(ctx, func(tx *txn) error {
		if err := atVersion(ctx, tx, "SELECT version FROM devices WHERE name = ?", d.Name, version); err != nil {
			return err
		}
		return putChecked(ctx, tx, d)
	})
	if err != nil {
		return incidents.DeviceRow{}, fmt.Errorf("change device %s: %w", d.Name, err)
	}
	return t.Device(ctx, d.Name)
}

func atVersion(ctx context.Context, tx *txn, query, name string, want int64) error {
	var version int64
	err := tx.QueryRowContext(ctx, query, name).Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return incidents.ErrNotFound
	case err != nil:
		return err
	case version != want:
		return fmt.Errorf("it is at version %d, not %d: %w", version, want, incidents.ErrStale)
	}
	return nil
}

// Site returns one site, or ErrNotFound.
func (t *Tickets) Site(ctx context.Context, id string) (incidents.SiteRow, error) {
	list, err := t.sites(ctx, " WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		return incidents.SiteRow{}, incidents.ErrNotFound
	}
	if err != nil {
		return incidents.SiteRow{}, err
	}
	return list[0], nil
}

// Sites returns a page of sites, in the order of their ids.
func (t *Tickets) Sites(ctx context.Context, q incidents.SiteQuery) ([]incidents.SiteRow, error) {
	f := filter{dialect: t.dialect}
	f.text("id", q.Only)
	f.text("status", string(q.Status))
	f.words(strings.ToLower(q.Q), "lower(id)", "lower("+t.siteName+")")
	f.add("id > ?", q.After)
	return t.sites(ctx, f.where()+" ORDER BY id LIMIT ?", append(f.args, q.Limit)...)
}

// SitesSince returns sites that changed after a revision, in the order of their
// changes. The last one's Revision is where to go on.
func (t *Tickets) SitesSince(ctx context.Context, revision int64, limit int) ([]incidents.SiteRow, error) {
	return t.sites(ctx, " WHERE revision > ? ORDER BY revision LIMIT ?", revision, limit)
}

func (t *Tickets) sites(ctx context.Context, where string, args ...any) ([]incidents.SiteRow, error) {
	rows, err := t.read.QueryContext(ctx, "SELECT data, version, revision FROM sites"+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read sites: %w", err)
	}
	defer rows.Close()
	var list []incidents.SiteRow
	for rows.Next() {
		var s incidents.SiteRow
		var data sql.RawBytes
		if err := rows.Scan(&data, &s.Version, &s.Revision); err != nil {
			return nil, fmt.Errorf("read sites: %w", err)
		}
		if err := json.Unmarshal(data, &s.Site); err != nil {
			return nil, fmt.Errorf("read a site's row: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// Device returns one device, or ErrNotFound.
func (t *Tickets) Device(ctx context.Context, name string) (incidents.DeviceRow, error) {
	list, err := t.devices(ctx, " WHERE name = ?", name)
	if err == nil && len(list) == 0 {
		return incidents.DeviceRow{}, incidents.ErrNotFound
	}
	if err != nil {
		return incidents.DeviceRow{}, err
	}
	return list[0], nil
}

// Devices returns a page of devices, in the order of their names.
func (t *Tickets) Devices(ctx context.Context, q incidents.DeviceQuery) ([]incidents.DeviceRow, error) {
	f := filter{dialect: t.dialect}
	f.text("site", q.Site)
	f.text("status", string(q.Status))
	f.words(strings.ToLower(q.Q), "lower(name)")
	f.add("name > ?", q.After)
	return t.devices(ctx, f.where()+" ORDER BY name LIMIT ?", append(f.args, q.Limit)...)
}

// DevicesSince returns devices that changed after a revision, in the order of
// their changes. The last one's Revision is where to go on.
func (t *Tickets) DevicesSince(ctx context.Context, revision int64, limit int) ([]incidents.DeviceRow, error) {
	return t.devices(ctx, " WHERE revision > ? ORDER BY revision LIMIT ?", revision, limit)
}

func (t *Tickets) devices(ctx context.Context, where string, args ...any) ([]incidents.DeviceRow, error) {
	rows, err := t.read.QueryContext(ctx, `SELECT name, site, status, labels, heartbeat_every, reading_every,
		in_service_since, retired_at, self_registered, version, revision, firmware, firmware_since FROM devices`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	defer rows.Close()
	var list []incidents.DeviceRow
	for rows.Next() {
		d, err := scanDevice(rows)
		if err != nil {
			return nil, fmt.Errorf("read devices: %w", err)
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

func scanDevice(rows *sql.Rows) (d incidents.DeviceRow, err error) {
	var labels string
	var since, retired, firmware sql.NullInt64
	err = rows.Scan(&d.Name, &d.Site, &d.Status, &labels, &d.HeartbeatEvery, &d.ReadingEvery,
		&since, &retired, &d.SelfRegistered, &d.Version, &d.Revision, &d.Firmware.Version, &firmware)
	if err != nil {
		return d, err
	}
	d.InServiceSince, d.RetiredAt, d.Since = timeOf(since), timeOf(retired), timeOf(firmware)
	if labels != "" {
		err = json.Unmarshal([]byte(labels), &d.Labels)
	}
	return d, err
}

// NoteFirmware writes down what devices say of their software, and returns how many
// said something else before. Those that the registry doesn't know are left out. It is
// no change of the registry, whose revision stays.
func (t *Tickets) NoteFirmware(ctx context.Context, said map[string]incidents.Firmware) (changed int, err error) {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(said)), keysAtOnce) {
		known, err := t.devices(ctx, " WHERE name IN ("+marks(len(chunk))+")", anys(chunk)...)
		if err != nil {
			return changed, err
		}
		known = slices.DeleteFunc(known, func(d incidents.DeviceRow) bool { return d.Firmware.Version == said[d.Name].Version })
		if len(known) == 0 {
			continue
		}
		err = t.update(ctx, func(tx *txn) error {
			for _, d := range known {
				is := said[d.Name]
				if _, err := tx.ExecContext(ctx, "UPDATE devices SET firmware = ?, firmware_since = ? WHERE name = ?", is.Version, is.Since.UnixMilli(), d.Name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return changed, fmt.Errorf("note the firmware of %d devices: %w", len(known), err)
		}
		changed += len(known)
	}
	return changed, nil
}

// Revision returns the newest revision of the registry.
func (t *Tickets) Revision(ctx context.Context) (revision int64, err error) {
	err = t.read.QueryRowContext(ctx, "SELECT value FROM counters WHERE name = 'registry'").Scan(&revision)
	if err != nil {
		return 0, fmt.Errorf("read the registry's revision: %w", err)
	}
	return revision, nil
}
