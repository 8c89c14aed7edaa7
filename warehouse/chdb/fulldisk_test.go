package chdb

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk with nothing left at all, over and over, while merges run: every row
// that was acknowledged is there afterwards, by the engine that went through it
// and by the next one. The engine is in a process of its own, since a process
// has one, and it is killed at the end.
func TestAnotherProgramTakesTheDisksLastByteWhileMergesRun(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("belfry-test", dir, "tmpfs", 0, "size=768m"); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskProcess$")
		cmd.Env = append(os.Environ(), fullDiskEnv+"="+dir)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if !strings.Contains(string(out), allThere) || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process ended too early: %v", err)
		}
	}
}

const (
	fullDiskEnv = "BELFRY_TEST_FULL_DISK"
	allThere    = "all rows are there"

	fullRounds  = 2
	fullInserts = 32     // of a round
	fullRows    = 50_000 // of an insert
)

// TestFullDiskProcess is no test: it is the process of the one above.
func TestFullDiskProcess(t *testing.T) {
	dir := os.Getenv(fullDiskEnv)
	if dir == "" {
		t.Skip("no test of its own: TestAnotherProgramTakesTheDisksLastByteWhileMergesRun runs it, as root, on a small tmpfs")
	}
	e, err := Open(Options{Path: filepath.Join(dir, "warehouse"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	engine = e
	mustQuery(t, "CREATE DATABASE IF NOT EXISTS full", nil)
	mustQuery(t, "CREATE TABLE IF NOT EXISTS full.last (n UInt64) ENGINE = AggregatingMergeTree ORDER BY n", nil)
	mustQuery(t, "CREATE TABLE IF NOT EXISTS full.rows (n UInt64, r UInt64) ENGINE = ReplacingMergeTree PARTITION BY intDiv(n, 50000) % 4 ORDER BY n", nil)
	mustQuery(t, "CREATE MATERIALIZED VIEW IF NOT EXISTS full.to_last TO full.last AS SELECT max(n) AS n FROM full.rows", nil)
	d := fullDisk{t: t, ballast: filepath.Join(dir, "ballast"), acknowledged: dir + ".acknowledged"}
	d.check() // what the process before has left
	for range fullRounds {
		d.round()
		d.check()
		d.insertWhileItFills()
		d.check()
	}
	d.breakPart()
	d.check()
	d.insert(1) // the view is fed by the table that was loaded anew
	if got, want := mustQuery(t, "SELECT max(n) FROM full.last", nil), fmt.Sprintln(d.inserts()*fullRows-1); got != want {
		t.Fatalf("the view has %s, want %s", got, want)
	}
	fmt.Println(allThere)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

type fullDisk struct {
	t                     *testing.T
	ballast, acknowledged string
}

// round inserts parts that wait to be merged, and takes the disk's last byte
// again and again once they are.
func (d fullDisk) round() {
	mustQuery(d.t, "SYSTEM STOP MERGES full.rows", nil)
	d.insert(fullInserts)
	d.fill()
	mustQuery(d.t, "SYSTEM START MERGES full.rows", nil)
	done := make(chan struct{})
	merging := make(chan struct{})
	go func() {
		defer close(merging)
		for {
			select {
			case <-done:
				return
			default: // refusals are what is expected here
				_, _ = engine.Query(d.t.Context(), fmt.Sprintf("OPTIMIZE TABLE full.rows PARTITION %d", rand.IntN(4)), "Null", nil)
			}
		}
	}()
	for range 60 {
		d.free(rand.Int64N(6 << 20))
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // merges get a little further each time
		d.fill()
	}
	if _, err := engine.Query(d.t.Context(), "INSERT INTO full.rows SELECT 0, 0", "Null", nil); err == nil {
		d.t.Error("an insert was taken by a full disk")
	}
	if err := os.Remove(d.ballast); err != nil {
		d.t.Fatal(err)
	}
	close(done)
	<-merging
}

// statement is the i-th insert. What it inserts twice counts once.
func (d fullDisk) statement(i int) string {
	return fmt.Sprintf("INSERT INTO full.rows SELECT number + %d, rand64() FROM numbers(%d)", i*fullRows, fullRows)
}

func (d fullDisk) insert(times int) {
	next := d.inserts()
	for i := range times {
		mustQuery(d.t, d.statement(next+i), nil)
		d.acknowledge()
	}
}

// insertWhileItFills has the disk's last byte taken in the middle of inserts:
// what the engine acknowledges must be there. It returns when some were refused.
func (d fullDisk) insertWhileItFills() {
	stop, filling := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(filling)
		for {
			d.fill()
			if err := os.Remove(d.ballast); err != nil {
				d.t.Error(err)
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond): // so that some begin
			}
		}
	}()
	taken, refused := 0, 0
	insert := func() {
		_, err := engine.Query(d.t.Context(), d.statement(d.inserts()), "Null", nil)
		if err != nil {
			refused++
			return
		}
		taken++
		d.acknowledge()
	}
	for refused < 12 || taken < 4 {
		insert()
	}
	close(stop)
	<-filling
	for before := taken; taken == before; {
		insert() // the one that was refused last may be there all the same
	}
}

// breakPart does to a merged part what the engine itself does when a write finds
// no room, as the disk becomes full.
func (d fullDisk) breakPart() {
	d.insert(8)
	d.until("merges go on", func() bool {
		_, err := engine.Query(d.t.Context(), "OPTIMIZE TABLE full.rows FINAL", "Null", nil)
		return err == nil
	})
	path := mustQuery(d.t, "SELECT path FROM system.parts WHERE active AND database = 'full' AND table = 'rows' ORDER BY modification_time DESC LIMIT 1", nil)
	path = strings.TrimSpace(path)
	files, err := filepath.Glob(filepath.Join(path, "*.bin"))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("no data in %s: %v", path, err)
	}
	if err := os.Truncate(files[0], 1000); err != nil {
		d.t.Fatal(err)
	}
	d.fill()
	d.until("the part that is not whole is set aside", func() bool {
		return mustQuery(d.t, "SELECT countIf(startsWith(name, 'broken')) > 0 FROM system.detached_parts WHERE database = 'full'", nil) == "1\n"
	})
	if err := os.Remove(d.ballast); err != nil {
		d.t.Fatal(err)
	}
}

// check waits until merges go on, and then wants every row that was acknowledged.
func (d fullDisk) check() {
	want := fmt.Sprintf("%d\t%d\n", d.inserts()*fullRows, d.inserts()*fullRows)
	got := ""
	d.until("all rows are there, "+want, func() bool {
		out, err := engine.Query(d.t.Context(), "SELECT uniqExact(n), countIf(r >= 0) FROM full.rows FINAL", "TSV", nil)
		got = fmt.Sprint(string(out), err)
		return err == nil && string(out) == want
	}, &got)
}

// until polls; after a minute and a half it fails, with the last that was seen.
func (d fullDisk) until(what string, ok func() bool, seen ...*string) {
	deadline := time.Now().Add(90 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			for _, s := range seen {
				what += "; there is " + *s
			}
			d.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// fill takes all there is, down to the last byte.
func (d fullDisk) fill() {
	f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// free gives n bytes back.
func (d fullDisk) free(n int64) {
	info, err := os.Stat(d.ballast)
	if err == nil {
		err = os.Truncate(d.ballast, max(0, info.Size()-n))
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// acknowledge notes that one more insert was.
func (d fullDisk) acknowledge() {
	f, err := os.OpenFile(d.acknowledged, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("insert\n"); err != nil {
		d.t.Fatal(err)
	}
}

func (d fullDisk) inserts() (n int) {
	f, err := os.Open(d.acknowledged)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); n++ {
	}
	return n
}
