package setup

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeNPM makes a folder with a program npm that packs a little library and
// counts its calls, and returns the folder and the digest of what it packs.
func fakeNPM(t *testing.T) (bin, digest string) {
	t.Helper()
	for _, tool := range []string{"bash", "node", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed", tool)
		}
	}
	bin = t.TempDir()
	source := filepath.Join(t.TempDir(), "package")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "libchdb.so"), []byte("an engine"), 0o600); err != nil {
		t.Fatal(err)
	}
	tarball := filepath.Join(bin, "package.tgz")
	if out, err := exec.Command("tar", "-czf", tarball, "-C", filepath.Dir(source), "package").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	packed, err := os.ReadFile(tarball)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(packed)
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s/calls\ncp %s chdb.tgz\n", bin, tarball)
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return bin, "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// engine runs engine.sh with the fake npm and a cache folder.
func engine(bin, cache, digest string, args ...string) (string, error) {
	cmd := exec.Command("bash", append([]string{"engine.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "BELFRY_ENGINE=", "BELFRY_ENGINE_DIR="+cache, "BELFRY_ENGINE_SHA512="+digest)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// entries lists a folder.
func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestTheEngineIsFetchedOnceByTwoAtOnce(t *testing.T) {
	bin, digest := fakeNPM(t)
	cache := filepath.Join(t.TempDir(), "a", "b")
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if out, err := engine(bin, cache, digest); err != nil {
				t.Errorf("engine.sh: %v\n%s", err, out)
			}
		})
	}
	group.Wait()
	if out, err := engine(bin, cache, digest); err != nil || out != "" {
		t.Errorf("a run with nothing to do: got %q, error %v; want silence", out, err)
	}
	if got := entries(t, cache); got != "libchdb.so libchdb.so.sha256" {
		t.Errorf("the cache holds %s; want the library and its digest", got)
	}
	calls, err := os.ReadFile(filepath.Join(bin, "calls"))
	if n := strings.Count(string(calls), "\n"); err != nil || n != 1 {
		t.Errorf("npm was called %d times (%v); want once", n, err)
	}
	if out, err := engine(bin, cache, digest, "verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(cache, "libchdb.so"), []byte("another engine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := engine(bin, cache, digest, "verify"); err == nil {
		t.Errorf("verify of a changed library: got %q and no error, want one", out)
	}
}

func TestAnEngineWithAnotherDigestIsNotInstalled(t *testing.T) {
	bin, _ := fakeNPM(t)
	cache := filepath.Join(t.TempDir(), "cache")
	out, err := engine(bin, cache, "sha512-nonsense")
	if err == nil || !strings.Contains(out, "wanted sha512-nonsense") {
		t.Errorf("got %q, error %v; want the two digests", out, err)
	}
	if got := entries(t, cache); got != "" {
		t.Errorf("the cache holds %s; want nothing", got)
	}
}

func TestALockWhoseOwnerDiedIsTakenOver(t *testing.T) {
	bin, digest := fakeNPM(t)
	cache := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{".lock", ".fetch.1"} {
		if err := os.Mkdir(filepath.Join(cache, left), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pid := fmt.Sprintln(dead.Process.Pid)
	if err := os.WriteFile(filepath.Join(cache, ".lock", "pid"), []byte(pid), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := engine(bin, cache, digest); err != nil {
		t.Fatalf("engine.sh: %v\n%s", err, out)
	}
	if got := entries(t, cache); got != "libchdb.so libchdb.so.sha256" {
		t.Errorf("the cache holds %s; want the library and its digest", got)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	bin := t.TempDir()
	for _, tool := range []string{"bash", "uname", "dirname", "awk", "grep"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("skipped: %s is not installed", tool)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "engine.sh")
	cmd.Env = []string{"PATH=" + bin, "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "npm is not installed; install Node.js") {
		t.Errorf("without npm: got %q, error %v; want what to install", out, err)
	}
}

// TestTheVersionsAgree holds the script to the version that has a digest.
func TestTheVersionsAgree(t *testing.T) {
	script, err := os.ReadFile("engine.sh")
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadFile("engine.sha512")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(script), "\nversion=")
	version, _, _ := strings.Cut(rest, "\n")
	if version == "" || !strings.Contains(string(pins), "\n"+version+" linux-x64-gnu sha512-") {
		t.Errorf("engine.sh fetches %q, for which engine.sha512 has no digest on Linux", version)
	}
}
