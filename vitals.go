package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// measureDisk tells how much room the data folder has.
func (p *process) measureDisk() {
	of := func(amount func(syscall.Statfs_t) uint64) func() float64 {
		return func() float64 {
			var fs syscall.Statfs_t
			if err := syscall.Statfs(p.folder.path, &fs); err != nil {
				return 0
			}
			return float64(amount(fs)) * float64(fs.Bsize)
		}
	}
	p.metrics.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_disk_free_bytes", Help: "Room that is left for the data folder."},
			of(func(fs syscall.Statfs_t) uint64 { return fs.Bavail })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_disk_size_bytes", Help: "Size of the file system that the data folder is on."},
			of(func(fs syscall.Statfs_t) uint64 { return fs.Blocks })))
}

// measureLog tells what the log inside the process takes.
func (p *process) measureLog() {
	p.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_ingest_log_bytes",
		Help: "Bytes on disk of the log inside the process, of all tenants, refused records included."}, func() float64 {
		var sum int64
		_ = filepath.WalkDir(p.folder.file("log"), func(_ string, f fs.DirEntry, err error) error {
			if err == nil && !f.IsDir() {
				if info, err := f.Info(); err == nil { // else it has just been deleted
					sum += info.Size()
				}
			}
			return nil
		})
		return float64(sum)
	}))
}

// measureDesk tells whether the desk does what nobody asks it to: its clocks tick,
// and its notices go out.
func (w *watch) measureDesk() {
	w.ticked = prometheus.NewGauge(prometheus.GaugeOpts{Name: "belfry_incidents_ticked_timestamp_seconds", Help: "When the clocks and timers of incidents were last looked at."})
	waiting := func(value func(count int64, since time.Time) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			count, since, err := w.tickets.WaitingNotices(ctx, time.Now())
			if err != nil {
				w.log.Warn("notices were not counted", "error", err)
			}
			return value(count, since)
		}
	}
	w.metrics.MustRegister(w.ticked,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_notices_waiting", Help: "Notices that should have gone out."},
			waiting(func(count int64, _ time.Time) float64 { return float64(count) })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_notices_waiting_seconds", Help: "How long the one of them that waits longest has waited."},
			waiting(func(_ int64, since time.Time) float64 {
				if since.IsZero() {
					return 0
				}
				return time.Since(since).Seconds()
			})))
}
