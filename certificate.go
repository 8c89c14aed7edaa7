package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is the API's certificate. It is read again when its files change,
// so that a renewal needs no restart.
type certificate struct {
	files Certificate
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]fileStamp // of the files that pair was read from, or that failed
	checked time.Time
}

// fileStamp is what is looked at to see whether a file has changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

// checkEvery is how often the files are looked at, at most.
const checkEvery = time.Second

// openCertificate reads the files; they must be right at the start.
func openCertificate(files Certificate, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log, now: now}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("read the API's certificate: %w", err)
	}
	c.pair, c.stamp, c.checked = &pair, c.stamps(), now()
	return c, nil
}

// config returns what a listener needs.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

// get returns the certificate for a new connection. Files that can't be read, for
// they may be half written, leave the old one in use until they change again.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.now(); at.Sub(c.checked) >= checkEvery {
		c.checked = at
		c.reload()
	}
	return c.pair, nil
}

func (c *certificate) reload() {
	stamp := c.stamps()
	if stamp == c.stamp {
		return
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		c.log.Error("the API's new certificate can't be used; the old one stays", "error", err)
		return
	}
	c.pair = &pair
	c.log.Info("the API has a new certificate", "expires", pair.Leaf.NotAfter)
}

func (c *certificate) stamps() (out [2]fileStamp) {
	for i, name := range []string{c.files.Cert, c.files.Key} {
		if info, err := os.Stat(name); err == nil {
			out[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return out
}
