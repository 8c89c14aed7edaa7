package bench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
)

// seedIncidents is how many incidents LoadTickets opens by the desk itself; the
// others are made of them.
const seedIncidents = 1000

// LoadTickets fills a new ticket database (a SQLite file that nobody has open)
// with so many incidents, a multiple of a thousand, to measure lists and searches
// among them. They are spread over 2,000 sites, seven categories and forty owners;
// one in fifty is being worked on, the others are closed. Each has its row, which
// says what its columns say, and the first event of its timeline.
func LoadTickets(ctx context.Context, file string, n int, at time.Time, progress func(done int)) error {
	if n < seedIncidents || n%seedIncidents != 0 {
		return fmt.Errorf("%d incidents; want a multiple of %d", n, seedIncidents)
	}
	if err := seedTickets(ctx, file, at); err != nil {
		return err
	}
	if err := packInSQL(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=synchronous(OFF)&_pragma=journal_mode(OFF)&_pragma=cache_size(-262144)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(multiply(ctx, db, n/seedIncidents, progress), db.Close())
}

// packInSQL lets statements pack and unpack JSON as the store does.
var packInSQL = sync.OnceValue(func() error {
	return errors.Join(
		sqlite.RegisterDeterministicScalarFunction("packed", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			return store.Pack([]byte(args[0].(string))), nil
		}),
		sqlite.RegisterDeterministicScalarFunction("unpacked", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			kept, packed := args[0].([]byte)
			if !packed {
				return args[0], nil
			}
			text, err := store.Unpack(kept)
			return string(text), err
		}))
})

// seedTickets opens the first incidents as findings open them.
func seedTickets(ctx context.Context, file string, at time.Time) error {
	tickets, err := store.Open(ctx, file)
	if err != nil {
		return err
	}
	defer tickets.Close()
	findings := make([]telemetry.Finding, seedIncidents)
	for i := range findings {
		device, site, value := fmt.Sprintf("FC-%06d", i), fmt.Sprintf("site-%04d", i%100), 80.0
		findings[i] = telemetry.Finding{Rule: "suspected-offline", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: device}, Site: site,
			Condition: telemetry.Firing, At: at, Since: at, Category: "suspected_offline", Impact: "device", Urgency: "high", Value: &value,
			Summary:  fmt.Sprintf("%s at %s has been silent for 3d", device, site),
			Evidence: []telemetry.Evidence{{At: at, What: "silence()", Value: &value}}}
	}
	return incidents.NewDesk(tickets, incidents.Config{}, nil, nil).Receive(ctx, findings)
}

// What differs between the incidents of the k-th thousand and the first ones.
var varied = map[string]string{
	"id":         "i.id + 1000 * ?1",
	"key":        "i.key || ?1",
	"open":       "0",
	"state":      "CASE WHEN (i.id + ?1) % 50 THEN 'closed' ELSE 'in_progress' END",
	"category":   "CASE (i.id + ?1) % 7 WHEN 0 THEN 'data_gap' WHEN 1 THEN 'clock_skew' ELSE json_extract(i.data, '$.category') END",
	"site":       "printf('site-%04d', (i.id + 37 * ?1) % 2000)",
	"device":     "printf('FC-%06d', i.id + 1000 * (?1 % 100))",
	"words":      "printf(' fc %06d at site %04d has been silent for 3d', i.id + 1000 * (?1 % 100), (i.id + 37 * ?1) % 2000)",
	"assignee":   "CASE WHEN (i.id + ?1) % 3 THEN '' ELSE 'p' || ((i.id + ?1) % 40) END",
	"level":      "1 + ((i.id + ?1) % 100) / 97",
	"priority":   "1 + (i.id + ?1) % 4",
	"clock":      "CASE (i.id + ?1) % 1000 WHEN 0 THEN 'breached' ELSE 'met' END",
	"updated_at": "i.updated_at + 60000 * ?1",
	"timer_at":   "NULL",
	"sort":       "(SELECT s.id FROM sorts o, sorts s WHERE o.id = i.sort AND s.category = %s AND s.state = %s AND s.level = %s AND s.priority = %s AND s.clock = %s AND s.kind = o.kind AND s.condition = o.condition AND s.rule = o.rule)",
}

// sorts are all the sorts that varied makes.
const sorts = `INSERT INTO sorts SELECT (SELECT max(id) FROM sorts) + row_number() OVER (), c.category, t.state, l.level, p.priority, k.clock, s.kind, s.condition, s.rule, 0
	FROM (SELECT DISTINCT kind, condition, rule FROM sorts) s,
	(SELECT 'data_gap' AS category UNION SELECT 'clock_skew' UNION SELECT category FROM sorts) c, (SELECT 'closed' AS state UNION SELECT 'in_progress') t,
	(SELECT 1 AS level UNION SELECT 2) l, (SELECT 1 AS priority UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) p, (SELECT 'met' AS clock UNION SELECT 'breached') k`

// inRow are the columns that the row's JSON says too.
var inRow = []string{"state", "category", "site", "device", "assignee", "level", "priority"}

// multiply makes times as many incidents of those that are there.
func multiply(ctx context.Context, db *sql.DB, times int, progress func(done int)) error {
	columns, err := columnsOf(ctx, db, "incidents")
	if err != nil {
		return err
	}
	data := "packed(json_set(i.data, '$.ref', printf('INC-%06d', i.id + 1000 * ?1), '$.open_key', ''" +
		", '$.summary', printf('FC-%06d at site-%04d has been silent for 3d', i.id + 1000 * (?1 % 100), (i.id + 37 * ?1) % 2000)"
	for _, c := range inRow {
		data += ", '$." + c + "', " + varied[c]
	}
	var values []string
	for _, c := range columns {
		value, ok := varied[c]
		switch {
		case c == "data":
			value = data + "))"
		case c == "sort":
			value = fmt.Sprintf(value, varied["category"], varied["state"], varied["level"], varied["priority"], varied["clock"])
		case !ok:
			value = "i." + c
		}
		values = append(values, value)
	}
	events, err := columnsOf(ctx, db, "events")
	if err != nil {
		return err
	}
	list := strings.Join(events[1:], ", ") // without the id
	statements := []string{
		"INSERT INTO incidents (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM incidents i WHERE i.id <= 1000",
		"INSERT INTO events (" + list + ") SELECT " + strings.Replace(list, "incident", "incident + 1000 * ?1", 1) + " FROM events WHERE incident <= 1000",
		"UPDATE counters SET value = 1000 * (?1 + 1) WHERE name = 'incident'",
	}
	indexes, err := dropIndexes(ctx, db)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, sorts); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "UPDATE incidents SET data = unpacked(coalesce(data, (SELECT e.after FROM events e WHERE e.incident = incidents.id AND e.seq = 1)))"); err != nil {
		return fmt.Errorf("unpack the incidents: %w", err)
	}
	for k := 1; k < times; k++ {
		if err := inOne(ctx, db, statements, k); err != nil {
			return fmt.Errorf("multiply the incidents: %w", err)
		}
		progress((k + 1) * seedIncidents)
	}
	for _, statement := range append(indexes, "UPDATE sorts SET count = (SELECT COUNT(*) FROM incidents i WHERE i.sort = sorts.id)",
		"INSERT INTO search (rowid, title, body) SELECT i.id, trim(i.words), replace(s.category, '_', ' ') FROM incidents i CROSS JOIN sorts s ON s.id = i.sort WHERE i.id > 0 ORDER BY i.id",
		"UPDATE counters SET value = (SELECT max(id) FROM incidents) WHERE name = 'indexed'") {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("index the incidents: %w", err)
		}
	}
	return nil
}

// dropIndexes drops the indexes of incidents, which are sooner made anew than kept
// up to date, and returns the statements that make them.
func dropIndexes(ctx context.Context, db *sql.DB) (statements []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'incidents' AND sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop string
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, err
		}
		drop += "DROP INDEX " + name + ";"
		statements = append(statements, statement)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, drop)
	return statements, err
}

func inOne(ctx context.Context, db *sql.DB, statements []string, k int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s, k); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func columnsOf(ctx context.Context, db *sql.DB, table string) (names []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
