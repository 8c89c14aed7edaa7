package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/telemetry"

	"github.com/segmentio/kafka-go"
)

// A log is where a test's topics are.
type log struct {
	name    string
	brokers []string
}

func (l log) connection() ingest.Connection { return ingest.Connection{Brokers: l.brokers} }

// onEachLog runs a test on the embedded log and, where it is at hand, on a real
// Apache Kafka.
func onEachLog(t *testing.T, test func(t *testing.T, l log)) {
	t.Run("embedded", func(t *testing.T) {
		b, err := broker.Start(broker.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		test(t, log{"embedded", []string{b.Addr()}})
	})
	t.Run("kafka", func(t *testing.T) {
		realKafka.once.Do(startKafka)
		if realKafka.skip != "" {
			t.Skip(realKafka.skip)
		}
		test(t, log{"kafka", []string{realKafka.addr}})
	})
}

// realKafka is started by the first test that wants it and ended by TestMain.
var realKafka struct {
	once       sync.Once
	addr, skip string
	dir        string
}

func script() string {
	path, _ := filepath.Abs("../deploy/kafka/kafka.sh")
	return path
}

func startKafka() {
	if out, err := exec.Command(script(), "present").CombinedOutput(); err != nil {
		realKafka.skip = "no real Kafka: " + strings.TrimSpace(string(out))
		return
	}
	if testing.Short() {
		realKafka.skip = "no real Kafka in a short run"
		return
	}
	realKafka.dir, _ = os.MkdirTemp("", "belfry-kafka-")
	port, controller := freePort(), freePort()
	up := exec.Command(script(), "up", port, realKafka.dir, controller)
	if out, err := up.CombinedOutput(); err != nil {
		realKafka.skip = fmt.Sprintf("no real Kafka: kafka.sh up: %v: %s", err, out)
		return
	}
	realKafka.addr = "127.0.0.1:" + port
}

func TestMain(m *testing.M) {
	code := m.Run()
	if realKafka.dir != "" {
		if out, err := exec.Command(script(), "down", realKafka.dir).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "kafka.sh down: %v: %s\n", err, out)
			code = 1
		}
		os.RemoveAll(realKafka.dir)
	}
	os.Exit(code)
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 3 minutes in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// topicOf makes a topic for the test and returns its settings.
func topicOf(t *testing.T, l log) ingest.Topic {
	topic := ingest.Topic{Name: fmt.Sprintf("%s-%d", strings.NewReplacer("/", ".").Replace(t.Name()), time.Now().UnixNano()), Create: true}
	if err := ingest.EnsureTopic(t.Context(), l.connection(), topic); err != nil {
		t.Fatal(err)
	}
	return topic
}

func intake(t *testing.T, l log, topic ingest.Topic) *ingest.Intake {
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: l.connection(), Topic: topic.Name, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// store is a warehouse in memory: of the versions of a reading it shows the one
// with the greatest (arrival, offset).
type store struct {
	mu       sync.Mutex
	rows     map[identity]version
	devices  map[string]bool
	inserted int // rows, repeats included
	inserts  int
	fail     func(b *telemetry.Batch) error // called first; nil: never
}

type identity struct {
	device telemetry.DeviceID
	kind   telemetry.Kind
	ts     int64
}

type version struct {
	arrival, offset int64
	in, out         uint32
	temp            float64
}

func newStore() *store { return &store{rows: map[identity]version{}, devices: map[string]bool{}} }

func (s *store) register(_ context.Context, devices []ingest.NewDevice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range devices {
		s.devices[d.Name] = true
	}
	return nil
}

func (s *store) insert(_ context.Context, b *telemetry.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(b); err != nil {
			return err
		}
	}
	s.inserts++
	s.inserted += b.Len()
	for i := range b.Counts.Len() {
		c := &b.Counts
		s.put(identity{c.Device[i], telemetry.Count, c.TS[i]}, version{c.Arrival[i], c.Offset[i], c.In[i], c.Out[i], 0})
	}
	for i, from := 0, 0; i < b.Heartbeats.Len(); i++ {
		h := &b.Heartbeats
		v := version{arrival: h.Arrival[i], offset: h.Offset[i]}
		for ; from < h.MeasureEnd[i]; from++ {
			if h.Name[from] == "temp" {
				v.temp = h.Value[from]
			}
		}
		s.put(identity{h.Device[i], telemetry.Heartbeat, h.TS[i]}, v)
	}
	return nil
}

func (s *store) put(id identity, v version) {
	old, ok := s.rows[id]
	if !ok || v.arrival > old.arrival || v.arrival == old.arrival && v.offset >= old.offset {
		s.rows[id] = v
	}
}

// totals returns how many readings there are and the people in them.
func (s *store) totals() (rows int, in uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.rows {
		in += uint64(v.in)
	}
	return len(s.rows), in
}

func (s *store) len() int { n, _ := s.totals(); return n }

// consume starts a consumer into the store and returns it and what ends it.
func consume(t *testing.T, l log, topic ingest.Topic, s *store, change ...func(*ingest.Options)) (*ingest.Consumer, func()) {
	t.Helper()
	o := ingest.Options{
		Connection: l.connection(), Topic: topic, Group: "test-" + topic.Name, Sink: s.insert, Register: s.register, Now: time.Now,
		MaxDelay: 20 * time.Millisecond, CheckEvery: 50 * time.Millisecond, Settle: time.Millisecond,
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	for _, f := range change {
		f(&o)
	}
	c, err := ingest.NewConsumer(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		begin := time.Now()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the drain took %s; want at most 10 s", took)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// caughtUp reports whether a look since the given instant found no lag.
func caughtUp(c *ingest.Consumer, since time.Time) bool {
	s := c.Status()
	return s.Checked.After(since) && s.LagRecords == 0 && len(s.Partitions) > 0
}

// epoch is the first time of the readings in these tests.
var epoch = time.Date(2026, 3, 27, 11, 0, 0, 0, time.UTC)

// reading is one count, as a record.
func reading(device string, minute int, in int) ingest.Record {
	ts := epoch.Add(time.Duration(minute) * time.Minute).UnixMilli()
	return ingest.Record{Key: []byte(device), Value: fmt.Appendf(nil, `{"device":%q,"ts":%d,"in":%d,"out":1}`, device, ts, in)}
}

// fleet returns readings of 40 devices, and the people in them.
func fleet(from, to int) (records []ingest.Record, in uint64) {
	for minute := from; minute < to; minute++ {
		for d := range 40 {
			records = append(records, reading(fmt.Sprintf("FC-%02d", d), minute, minute+d))
			in += uint64(minute + d)
		}
	}
	return records, in
}

func mustAppend(t *testing.T, in *ingest.Intake, records ...ingest.Record) {
	t.Helper()
	if err := in.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// deadLetters reads the topic's dead letters until there are n.
func deadLetters(t *testing.T, l log, topic ingest.Topic, n int) []kafka.Message {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: l.brokers, Topic: topic.Name + ".dead", MaxWait: 50 * time.Millisecond, MaxBytes: 64 << 20})
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var letters []kafka.Message
	for len(letters) < n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("got %d dead letters of %d: %v", len(letters), n, err)
		}
		letters = append(letters, m)
	}
	return letters
}

func header(m kafka.Message, key string) string {
	for _, h := range m.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
