package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// folder is a data folder that this process holds.
type folder struct {
	path string
	lock *flock.Flock

	naming sync.Mutex // each tenant's analyzer asks for the name of the folder
}

// holder is what the lock file says of the process that holds a data folder.
type holder struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	API     string    `json:"api,omitempty"`     // its URL; "" when it serves none
	Brokers []string  `json:"brokers,omitempty"` // host:port of the log
	Topic   string    `json:"topic,omitempty"`
	Door    string    `json:"door,omitempty"` // URL of the ClickHouse door; "" when it is shut
}

// heldError says that another process holds a data folder.
type heldError struct {
	path string
	by   holder
}

// Error names the holder and what can be done.
func (e *heldError) Error() string {
	where := "it serves no API"
	if e.by.API != "" {
		where = "its API is at " + e.by.API
	}
	return fmt.Sprintf("the data folder %s is held by process %d since %s (%s); stop it, or use another folder with --data",
		e.path, e.by.PID, e.by.Started.Format(time.RFC3339), where)
}

// openFolder creates the data folder when it is missing and locks it. A folder
// that another process holds gives a *heldError.
func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w", err)
	}
	f := &folder{path: path, lock: flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600))}
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder %s: %w", path, err)
	}
	if !locked {
		return nil, &heldError{path, readHolder(path)}
	}
	return f, f.announce(holder{})
}

// readHolder returns what the lock file says; nothing when it cannot be read,
// since the holder may be writing it at this moment.
func readHolder(path string) (h holder) {
	if text, err := os.ReadFile(filepath.Join(path, "lock")); err == nil {
		_ = json.Unmarshal(text, &h)
	}
	return h
}

// announce writes into the lock file where this process can be reached.
func (f *folder) announce(h holder) error {
	h.PID, h.Started = os.Getpid(), time.Now().UTC().Truncate(time.Second)
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	// In place: a file renamed over it would not be the one that is locked.
	if err := os.WriteFile(f.file("lock"), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	return nil
}

func (f *folder) file(names ...string) string {
	return filepath.Join(append([]string{f.path}, names...)...)
}

func (f *folder) close() error { return f.lock.Close() }

// writeToken keeps the administrator's token where its owner alone reads it.
func (f *folder) writeToken(token string) error {
	if err := os.WriteFile(f.file("admin.token"), []byte(token+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the administrator's token: %w", err)
	}
	return nil
}

// readToken returns the token that commands sign in with: BELFRY_TOKEN, or the
// administrator's in the data folder.
func readToken(path string) (string, error) {
	if token := os.Getenv("BELFRY_TOKEN"); token != "" {
		return token, nil
	}
	text, err := os.ReadFile(filepath.Join(path, "admin.token"))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("no admin.token in %s; give a token in BELFRY_TOKEN", path)
	}
	if err != nil {
		return "", fmt.Errorf("read the administrator's token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
