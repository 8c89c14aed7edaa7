package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// The tests of the whole program run it as its users do, in a process of its
// own: this test binary, told by the environment to be belfry. Those that wait for such
// processes for long run beside each other; not those that open the engine in this one,
// of which a process has one, nor those that say how long something may take.
const asBelfry = "BELFRY_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asBelfry) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is a belfry that serves.
type program struct {
	t     testing.TB
	data  string
	cmd   *exec.Cmd
	log   *logged
	api   string
	token string
	over  chan error
}

// logged is what a program writes, readable while it runs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freePorts are the settings of a belfry beside others on this machine.
var freePorts = []string{"BELFRY_LISTEN=127.0.0.1:0", "BELFRY_LOG_LISTEN=127.0.0.1:0", "BELFRY_DOOR_LISTEN=127.0.0.1:0"}

// serve starts belfry over a data folder and waits until it is ready.
func serve(t testing.TB, data string, settings ...string) *program {
	t.Helper()
	return launch(t, data, settings, "serve", "--data", data)
}

// launch starts a belfry that serves an API, and waits until it is ready.
func launch(t testing.TB, data string, settings []string, args ...string) *program {
	t.Helper()
	p := begin(t, data, settings, args...)
	p.await(3*time.Minute, "belfry to be ready", func() bool { return p.ready() })
	return p
}

// begin starts a belfry and waits until its API answers, with whatever.
func begin(t testing.TB, data string, settings []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, data: data, cmd: exec.Command(os.Args[0], args...), log: &logged{}, over: make(chan error, 1)}
	p.cmd.Env = append(append(append(os.Environ(), asBelfry+"=1"), freePorts...), settings...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.over <- p.cmd.Wait() }()
	t.Cleanup(func() {
		if p.kill(); strings.Contains(p.log.String(), "DATA RACE") {
			t.Errorf("a race was found:\n%s", p.log)
		}
	})
	p.await(3*time.Minute, "belfry to answer", func() bool {
		h := readHolder(data)
		p.api = h.API
		return h.PID == p.cmd.Process.Pid && h.API != ""
	})
	token, err := readToken(data)
	if err != nil {
		t.Fatal(err)
	}
	p.token = token
	return p
}

// ready reports whether every part of it answers.
func (p *program) ready() bool {
	resp, err := http.Get(p.api + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// await polls until ok; it fails the test when the time is over or the program is.
func (p *program) await(limit time.Duration, what string, ok func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		select {
		case err := <-p.over:
			p.over <- err
			return false, fmt.Errorf("belfry ended: %v", err)
		default:
			return ok(), nil
		}
	})
	if err != nil {
		p.t.Fatalf("waited for %s: %v\nits log:\n%s", what, err, p.log)
	}
}

// kill ends the program as a power cut would.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	p.over <- <-p.over
}

// stop ends the program as a service manager does, and expects a clean end.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.over:
		p.over <- err
		if err != nil {
			p.t.Errorf("belfry ended with %v; its log:\n%s", err, p.log)
		}
	case <-time.After(time.Minute): // how long it may take is another test's claim
		p.t.Fatalf("belfry runs on a minute after SIGTERM; its log:\n%s", p.log)
	}
}

// request calls the API and returns status and body.
func (p *program) request(method, path, body string, header ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.api+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v; the log:\n%s", method, path, err, p.log)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// must calls the API, expects the status, and reads the answer into into.
func (p *program) must(status int, method, path, body string, into any) {
	p.t.Helper()
	got, text := p.request(method, path, body)
	if got != status {
		p.t.Fatalf("%s %s: got %d, want %d: %s\nthe log:\n%s", method, path, got, status, text, p.log)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}

// command runs a belfry command to its end, in a process of its own unless it only asks
// one that serves.
func command(t testing.TB, settings []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if len(settings) == 0 && served(args) {
		return ask(t, args)
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(append(os.Environ(), asBelfry+"=1"), freePorts...), settings...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// served reports whether a process serves the data folder that a command names.
func served(args []string) bool {
	i := slices.Index(args, "--data") + 1
	if i == 0 || readHolder(args[i]).API == "" {
		return false
	}
	lock := flock.New(filepath.Join(args[i], "lock"))
	free, err := lock.TryLock()
	_ = lock.Unlock()
	return err == nil && !free
}

// ask runs a command in this process, as main does.
func ask(t testing.TB, args []string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	err := run(t.Context(), args, &out, &errs)
	if err != nil {
		fmt.Fprintln(&errs, "belfry: "+err.Error())
	}
	return out.String(), errs.String(), exitCode(err)
}

// mustCommand expects the command to do its work.
func mustCommand(t testing.TB, args ...string) string {
	t.Helper()
	out, errs, code := command(t, nil, args...)
	if code != 0 {
		t.Fatalf("belfry %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// sharedData returns a file of the real measurements, or skips.
func sharedData(t testing.TB, name ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "shared", "data"}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real measurements are not here: %v", err)
	}
	return path
}

// freePort returns a port of loopback that nobody listens on. It is one that the system
// gives to nobody who doesn't ask for it: a port of its own range may be taken, by a
// listener on port 0 or as the near end of any connection, before it is listened on,
// and each time that a server which is started again at the same address is away.
func freePort(t testing.TB) string {
	t.Helper()
	first := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &first)
	}
	const low = 10_000
	for range 1000 {
		port := strconv.Itoa(low + rand.IntN(max(first, low+1000)-low))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("a thousand ports are taken")
	return ""
}
