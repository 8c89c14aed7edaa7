// Package broker runs a log inside the process: a Kafka-protocol broker
// (franz-go's kfake) that keeps its records on disk.
//
// It listens on loopback only and asks nobody for a password. Records and
// committed offsets that it acknowledged survive the death of the process; with
// Options.Sync also a power loss. It deletes nothing by itself. One process
// may hold a folder; whoever starts the broker sees to that.
package broker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Options say where the broker keeps its records and where it listens.
type Options struct {
	Dir  string       // made if missing
	Addr string       // host:port on loopback; "": 127.0.0.1 and a free port
	Sync bool         // have each batch on the disk itself before it is acknowledged
	File int          // bytes after which a partition begins its next file; 0: 100 MiB. Whoever deletes records gets room by whole files
	Log  *slog.Logger // nil: say nothing
}

// Broker is a running log.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
}

// keepForever are the settings by which nothing is deleted for its age: neither
// records nor the offsets of a consumer that was away for long.
var keepForever = map[string]string{
	"log.retention.ms":          "-1",
	"log.retention.bytes":       "-1",
	"offsets.retention.minutes": "5256000", // ten years; a hundred overflow a duration in kfake
	"message.max.bytes":         "33554432",
}

// configs are the settings of the broker. It remembers them: each is said each time.
func (o *Options) configs() map[string]string {
	configs := maps.Clone(keepForever)
	configs["log.segment.bytes"] = strconv.Itoa(cmp.Or(o.File, 100<<20))
	return configs
}

// Start opens the folder and listens. It returns when the broker answers.
func Start(o Options) (*Broker, error) {
	if o.Dir == "" {
		return nil, errors.New("the embedded log needs a folder")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if err := checkLoopback(o.Addr); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the embedded log's folder: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("belfry"),
		kfake.DataDir(o.Dir),
		kfake.BrokerConfigs(o.configs()),
		kfake.WithLogger(logger{o.Log}),
		// The broker advertises the address of its listener, so a folder that
		// moves to another port is found there.
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, o.Addr) }),
	}
	if o.Sync {
		options = append(options, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("start the embedded log in %s on %s: %w", o.Dir, o.Addr, err)
	}
	return &Broker{cluster, cluster.ListenAddrs()[0]}, nil
}

// Addr returns host:port of the listener.
func (b *Broker) Addr() string { return b.addr }

// Close stops listening and writes everything to the folder. It may be called
// more than once.
func (b *Broker) Close() error {
	b.cluster.Close()
	return nil
}

func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address of the embedded log %q: want host:port: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("address of the embedded log %q: it has no access control and listens on loopback only; want 127.0.0.1:PORT, or run Apache Kafka for others to reach", addr)
	}
	return nil
}

// logger passes on what kfake finds worth a warning.
type logger struct{ log *slog.Logger }

// Logf is called by kfake.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded log", "message", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded log", "message", fmt.Sprintf(format, args...))
	}
}
