package chdb

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"
)

// guard keeps the engine's parts whole when another program takes the disk's last
// bytes. The engine loses a write of a merge that finds no room and finishes the
// merge all the same: its part is short, and the parts it was made of, which are
// whole, are deleted minutes later. So merges stop before it comes to that, and
// those that ended just then are checked; the table of one that is not whole is
// loaded anew, upon which the engine sets that part aside and takes back what it
// was made of.
type guard struct {
	engine *Engine
	log    *slog.Logger

	roomy   time.Time       // when there was room last
	low     bool            // merges are stopped
	checked map[string]bool // parts, since merges were stopped
	absent  map[string]bool // tables that are yet to be attached again
}

const (
	lookEvery    = 20 * time.Millisecond  // at the disk alone, which costs a microsecond
	lookWhileLow = 200 * time.Millisecond // also at the parts
	roomAgain    = 2 * MinFree            // more than stops merges, so that they don't start and stop in turn
)

// run looks at the disk until done is closed.
func (g *guard) run(done <-chan struct{}) {
	g.tellAside()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			g.look(now)
			tick.Reset(g.pause())
		}
	}
}

func (g *guard) pause() time.Duration {
	if g.low {
		return lookWhileLow
	}
	return lookEvery
}

func (g *guard) look(now time.Time) {
	free, err := freeBytes(g.engine.path)
	if err != nil {
		return // the folder is gone; the statements will say so
	}
	switch {
	case !g.low && free >= MinFree:
		g.roomy = now
		return
	case !g.low:
		g.low, g.checked = true, map[string]bool{}
		g.log.Warn("the disk is almost full: inserts are refused and merges stop until there is room", "free_bytes", free, "path", g.engine.path)
	}
	if _, err := g.ask("SYSTEM STOP MERGES"); err != nil { // also of tables that are new, or were attached
		g.log.Warn("merges can't be stopped", "error", err)
	}
	whole := g.attach() && g.check()
	if free >= roomAgain && whole {
		g.low = false
		if _, err := g.ask("SYSTEM START MERGES"); err != nil {
			g.log.Error("merges can't be started again; restart belfry", "error", err)
			return
		}
		g.log.Info("the disk has room again: merges go on", "free_bytes", free)
	}
}

// tellAside logs the parts that the engine has set aside because they were not whole.
func (g *guard) tellAside() {
	parts, err := g.ask("SELECT database || '.' || table, name, path FROM system.detached_parts WHERE startsWith(name, 'broken')")
	if err != nil {
		return
	}
	for part := range strings.Lines(parts) {
		if f := strings.Split(strings.TrimSuffix(part, "\n"), "\t"); len(f) == 3 {
			g.log.Error("a part that was not whole is set aside; belfry doctor says what to do", "table", f[0], "part", f[1], "path", f[2])
		}
	}
}

// check looks at the parts that were merged since there was room last, and
// reports whether all of them are whole.
func (g *guard) check() bool {
	since := g.roomy.Add(-2 * time.Second).Unix() // the engine's times are whole seconds
	parts, err := g.ask(fmt.Sprintf("SELECT database, table, name FROM system.parts WHERE active AND level > 0 AND modification_time >= toDateTime(%d)", since))
	if err != nil {
		return false
	}
	for part := range strings.Lines(parts) {
		part = strings.TrimSuffix(part, "\n")
		f := strings.Split(part, "\t")
		if g.checked[part] || len(f) != 3 {
			continue
		}
		table := "`" + f[0] + "`.`" + f[1] + "`"
		answer, err := g.ask("CHECK TABLE " + table + " PART '" + f[2] + "' SETTINGS check_query_single_value_result = 1")
		switch {
		case err != nil:
			return false // it may be merged or gone; the next look knows
		case strings.TrimSpace(answer) == "1":
			g.checked[part] = true
		default:
			g.log.Error("a part is not whole: it is set aside, and what it was merged from is used again", "table", table, "part", f[2])
			if _, err := g.ask("DETACH TABLE " + table); err == nil {
				g.absent[table] = true
			}
			g.attach()
			return false // the next look sees what was taken back
		}
	}
	return true
}

// attach loads the tables that were detached, as soon as no statement uses them
// any more, and reports whether none is left.
func (g *guard) attach() bool {
	for table := range g.absent {
		_, err := g.ask("ATTACH TABLE IF NOT EXISTS " + table)
		var refused *Error
		if gone := errors.As(err, &refused) && refused.Code == unknownDatabase; err == nil || gone {
			delete(g.absent, table)
		}
	}
	return len(g.absent) == 0
}

const unknownDatabase = 81 // ClickHouse's code

func (g *guard) ask(sql string) (string, error) {
	out, err := g.engine.run(g.engine.keeper, sql, "TSV", nil)
	return string(out), err
}

// freeBytes is what the disk of the path has left for this user.
func freeBytes(path string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", path, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}
