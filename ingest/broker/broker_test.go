package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belfry/ingest/broker"

	"github.com/segmentio/kafka-go"
)

// TestMain lets the test binary be the process that is killed: with the folder
// in the environment it runs a broker until its end.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BELFRY_TEST_BROKER"); dir != "" {
		b, err := broker.Start(broker.Options{Dir: dir, Addr: os.Getenv("BELFRY_TEST_ADDR")})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.Addr())
		select {}
	}
	os.Exit(m.Run())
}

// child starts a broker in a process of its own.
func child(t *testing.T, dir, addr string) (process *exec.Cmd, listens string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BELFRY_TEST_BROKER="+dir, "BELFRY_TEST_ADDR="+addr)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the broker's process says nothing: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

const topic = "t"

func client(addr string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: &kafka.Transport{}, Timeout: 10 * time.Second}
}

func create(t *testing.T, addr string) {
	t.Helper()
	res, err := client(addr).CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: 1, ReplicationFactor: 1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "-1"}},
	}}})
	if err != nil || res.Errors[topic] != nil {
		t.Fatal(err, res)
	}
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	dir, addr := t.TempDir(), ""
	var acknowledged, committed int64
	for round := range 4 {
		process, listens := child(t, dir, addr)
		addr = listens // the next one listens there again
		if round == 0 {
			create(t, addr)
		}
		from, to := ends(t, addr)
		if from != 0 || to < acknowledged {
			t.Fatalf("round %d: the log has records %d to %d; want 0 to at least %d", round, from, to, acknowledged)
		}
		if got := offset(t, addr); round > 0 && got < committed {
			t.Fatalf("round %d: committed offset %d; want at least %d", round, got, committed)
		}
		checkRecords(t, addr, acknowledged)
		acknowledged, committed = produceUntilKilled(t, process, addr, to)
	}
	_, listens := child(t, dir, "")
	if listens == addr {
		t.Skip("the free port happens to be the old one")
	}
	checkRecords(t, listens, acknowledged) // found at its new address
}

// produceUntilKilled writes one record after another, commits now and then, and
// kills the broker while it does.
func produceUntilKilled(t *testing.T, process *exec.Cmd, addr string, from int64) (acknowledged, committed int64) {
	t.Helper()
	w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: topic, RequiredAcks: kafka.RequireAll, MaxAttempts: 1, BatchTimeout: time.Millisecond, Transport: &kafka.Transport{}}
	defer w.Close()
	var done atomic.Int64
	go func() {
		for done.Load() < 150 {
			time.Sleep(time.Millisecond)
		}
		_ = process.Process.Kill()
	}()
	c := client(addr)
	for n := int64(0); ; n++ {
		// The value is the record's number, so that a gap or a repetition shows.
		if err := w.WriteMessages(context.Background(), kafka.Message{Value: fmt.Append(nil, from+n), Time: time.Unix(1_000_000_000, 0)}); err != nil {
			if n < 100 {
				t.Fatal(err)
			}
			return acknowledged, committed
		}
		acknowledged = from + n + 1
		if n%10 == 0 {
			res, err := c.OffsetCommit(context.Background(), &kafka.OffsetCommitRequest{GroupID: "g", GenerationID: -1,
				Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: acknowledged, Metadata: "m"}}}})
			if err == nil && res.Topics[topic][0].Error == nil {
				committed = acknowledged
			}
		}
		done.Add(1)
	}
}

func ends(t *testing.T, addr string) (from, to int64) {
	t.Helper()
	res, err := client(addr).ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Topics[topic][0].FirstOffset, res.Topics[topic][0].LastOffset
}

func offset(t *testing.T, addr string) int64 {
	t.Helper()
	res, err := client(addr).OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{GroupID: "g", Topics: map[string][]int{topic: {0}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Topics[topic]) == 0 {
		return -1
	}
	return res.Topics[topic][0].CommittedOffset
}

// checkRecords reads the first n records and holds each against its number.
func checkRecords(t *testing.T, addr string, n int64) {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("record %d of %d: %v", i, n, err)
		}
		if string(m.Value) != fmt.Sprint(i) || m.Offset != i || m.Time.Unix() != 1_000_000_000 {
			t.Fatalf("record %d is %q at offset %d, time %s", i, m.Value, m.Offset, m.Time)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		o    broker.Options
		want string
	}{
		{broker.Options{}, "needs a folder"},
		{broker.Options{Dir: t.TempDir(), Addr: "0.0.0.0:0"}, "loopback only"},
		{broker.Options{Dir: t.TempDir(), Addr: "9092"}, "want host:port"},
		{broker.Options{Dir: file}, "folder"},
		{broker.Options{Dir: t.TempDir(), Addr: taken.Addr().String()}, "address already in use"},
	} {
		b, err := broker.Start(test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v; want ...%s...", test.o, err, test.want)
		}
		if err == nil {
			b.Close()
		}
	}
}

func TestCloseTwice(t *testing.T) {
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	create(t, b.Addr())
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
