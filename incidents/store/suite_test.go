package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// opener opens a fresh ticket database.
type opener func(testing.TB) *Tickets

// suite is what holds for every database.
var suite = map[string]func(*testing.T, opener){
	"Many analyzers open one incident for each key":  testManyAnalyzersOpenOneIncidentForEachKey,
	"The database refuses a second open one":         testTheDatabaseRefusesASecondOpenOne,
	"Of two who take at once one is told":            testOfTwoWhoTakeAtOnceOneIsTold,
	"No key is open twice whatever comes at once":    testNoKeyIsOpenTwiceWhateverComesAtOnce,
	"Every way to a list finds the same":             testEveryWayToAListFindsTheSame,
	"Writers share transactions, and no faults":      testWritersTogether,
	"A reference that was not used is not lost":      testAReferenceThatWasNotUsedIsNotLost,
	"A superseded incident gives its key away":       testASupersededIncidentGivesItsKeyAway,
	"The timer finds what has recovered":             testTheTimerFindsWhatHasRecovered,
	"Registry":                                       testRegistry,
	"Devices register themselves once":               testDevicesRegisterThemselvesOnce,
	"States":                                         testStates,
	"A dead analyzers share is taken over":           testADeadAnalyzersShareIsTakenOver,
	"A share that is given up is taken at once":      testAShareThatIsGivenUpIsTakenAtOnce,
	"The feed has every event once in order":         testTheFeedHasEveryEventOnceInOrder,
	"Audit records":                                  testAuditRecords,
	"Notices are claimed once and written down":      testNoticesAreClaimedOnceAndWrittenDown,
	"Contacts are changed by version":                testContactsAreChangedByVersion,
	"What a request writes is there with its answer": testWhatARequestWritesIsThereWithItsAnswer,
}

func TestSQLite(t *testing.T) {
	for name, test := range suite {
		t.Run(name, func(t *testing.T) { test(t, openTickets) })
	}
}

func TestPostgreSQL(t *testing.T) {
	server := startPostgres(t)
	for name, test := range suite {
		t.Run(name, func(t *testing.T) { test(t, server.open) })
	}
}

// postgresServer is a real PostgreSQL, run as a child of the test.
type postgresServer struct {
	dir       string // of its socket; it listens nowhere else
	user      *syscall.SysProcAttr
	process   *exec.Cmd
	databases int
}

const postgresPrograms = "/usr/lib/postgresql/15/bin"

// startPostgres starts a server in a temporary folder, or skips the test when
// PostgreSQL 15 is not installed.
func startPostgres(t testing.TB) *postgresServer {
	t.Helper()
	if _, err := os.Stat(filepath.Join(postgresPrograms, "initdb")); err != nil {
		t.Skipf("PostgreSQL 15 is not installed (apt-get install postgresql-15): %v", err)
	}
	dir, err := os.MkdirTemp("", "belfry-pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &postgresServer{dir: dir, user: unprivileged(t, dir)}
	if out, err := s.command("initdb", "-D", "data", "-U", "belfry", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start(t)
	t.Cleanup(func() {
		_ = s.process.Process.Signal(syscall.SIGINT) // a fast shutdown
		_ = s.process.Wait()
	})
	return s
}

func (s *postgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(postgresPrograms, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.user
	return cmd
}

func (s *postgresServer) start(t testing.TB) {
	t.Helper()
	s.process = s.command("postgres", "-D", "data", "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir, "-c", "fsync=off")
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the server at once; what was committed is there when it starts again.
func (s *postgresServer) kill(t testing.TB) {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait() // says that it was killed
}

// unprivileged hands the folder to somebody whom initdb accepts: it refuses root.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers, on the systems that have root
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	t.Skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody; make setup-tests brings the first")
	return nil
}

func (s *postgresServer) source(database string) string {
	return fmt.Sprintf("host=%s user=belfry dbname=%s", s.dir, database)
}

// open makes a database and opens it.
func (s *postgresServer) open(t testing.TB) *Tickets {
	t.Helper()
	s.databases++
	name := fmt.Sprintf("t%d", s.databases)
	s.create(t, name)
	tickets, err := OpenPostgres(context.Background(), s.source(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tickets.Close(); err != nil {
			t.Error(err)
		}
	})
	return tickets
}

// create makes a database as soon as the server answers.
func (s *postgresServer) create(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, filepath.Join(postgresPrograms, "createdb"), "-h", s.dir, "-U", "belfry", name).CombinedOutput()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(errors.Join(err, errors.New(string(out))))
		}
	}
}

// testWhatARequestWritesIsThereWithItsAnswer undertakes several steps: one fails and
// is undone alone, what was written is seen within, and all is there with the
// answer or not at all.
func testWhatARequestWritesIsThereWithItsAnswer(t *testing.T, open opener) {
	db, ctx := open(t), context.Background()
	answers := &Answers{[]*database{db.database}}
	answer := &incidents.Answer{Hash: "h", Body: []byte{0, 1}, At: time.UnixMilli(1_000_000).UTC()}
	undertake := func(site string, result *incidents.Answer, fail error) error {
		return answers.Together(ctx, "k", func(ctx context.Context) (*incidents.Answer, error) {
			if _, err := db.CreateSite(ctx, telemetry.Site{ID: site, Zone: "UTC"}); err != nil {
				return nil, err
			}
			if _, err := db.CreateSite(ctx, telemetry.Site{ID: site, Zone: "UTC"}); !errors.Is(err, incidents.ErrExists) {
				t.Errorf("made twice: %v", err)
			}
			if _, err := db.Site(ctx, site); err != nil {
				t.Errorf("what was written is not seen: %v", err)
			}
			return result, fail
		})
	}
	there := func(site string) bool { _, err := db.Site(ctx, site); return err == nil }
	if err := undertake("a", nil, nil); err != nil || there("a") {
		t.Errorf("without an answer: %v, there: %v", err, there("a"))
	}
	if err := undertake("b", answer, errors.New("x")); err == nil || there("b") {
		t.Errorf("with an error: %v, there: %v", err, there("b"))
	}
	if err := undertake("c", answer, nil); err != nil || !there("c") {
		t.Errorf("with an answer: %v, there: %v", err, there("c"))
	}
	if err := undertake("d", answer, nil); !errors.Is(err, incidents.ErrExists) || there("d") {
		t.Errorf("under a key that is taken: %v, there: %v", err, there("d"))
	}
	if known, err := answers.Recall(ctx, "k"); err != nil || known == nil || known.Hash != "h" || string(known.Body) != "\x00\x01" || !known.At.Equal(answer.At) {
		t.Errorf("recalled %v, %v", known, err)
	}
}
