package ingest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/ingest/broker"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMissingTopic(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		c, err := ingest.NewConsumer(ingest.Options{Connection: l.connection(), Topic: ingest.Topic{Name: "nowhere"}, Sink: newStore().insert, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Run(t.Context())
		if !errors.Is(err, ingest.ErrMissingTopic) || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "4 partitions") {
			t.Errorf("got %v", err)
		}
		in := intake(t, l, ingest.Topic{Name: "nowhere"})
		if err := in.Append(t.Context(), []ingest.Record{reading("a", 0, 1)}); !errors.Is(err, ingest.ErrMissingTopic) {
			t.Errorf("append: got %v", err)
		}
	})
}

func TestCredentials(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "ann", "plain-secret"), kfake.Superuser("SCRAM-SHA-256", "bob", "scram-secret"), kfake.Superuser("SCRAM-SHA-512", "eve", "other-secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	topic := ingest.Topic{Name: "guarded", Create: true}
	for i, test := range []struct {
		credentials ingest.SASL
		ok          bool
	}{
		{ingest.SASL{Mechanism: "plain", User: "ann", Password: "plain-secret"}, true},
		{ingest.SASL{Mechanism: "scram-sha-256", User: "bob", Password: "scram-secret"}, true},
		{ingest.SASL{Mechanism: "SCRAM-SHA-512", User: "eve", Password: "other-secret"}, true},
		{ingest.SASL{Mechanism: "plain", User: "ann", Password: "wrong"}, false},
		{ingest.SASL{Mechanism: "scram-sha-512", User: "bob", Password: "scram-secret"}, false},
	} {
		t.Run(fmt.Sprint(test.credentials), func(t *testing.T) {
			l := ingest.Connection{Brokers: cluster.ListenAddrs(), SASL: test.credentials}
			if !test.ok {
				c, err := ingest.NewConsumer(ingest.Options{Connection: l, Topic: topic, Sink: newStore().insert, Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); !errors.Is(err, ingest.ErrCredentials) {
					t.Errorf("got %v; want ErrCredentials", err)
				}
				return
			}
			if err := ingest.EnsureTopic(t.Context(), l, topic); err != nil {
				t.Fatal(err)
			}
			in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: l, Topic: topic.Name, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			mustAppend(t, in, reading("a", i, 1))
			s := newStore()
			consume(t, log{"sasl", l.Brokers}, topic, s, func(o *ingest.Options) { o.Connection = l })
			eventually(t, "the reading is in the store", func() bool { return s.len() > 0 })
		})
	}
	if s := fmt.Sprintf("%v %+v %#v", ingest.SASL{Password: "p4ss"}, ingest.SASL{Password: "p4ss"}, ingest.SASL{Password: "p4ss"}); strings.Contains(s, "p4ss") {
		t.Errorf("a password shows: %s", s)
	}
}

func TestABrokerThatIsAwayIsWaitedFor(t *testing.T) {
	dir, addr := t.TempDir(), "127.0.0.1:"+freePort()
	l, topic, s := log{"away", []string{addr}}, ingest.Topic{Name: "later", Create: true}, newStore()
	c, _ := consume(t, l, topic, s)
	eventually(t, "the failure shows", func() bool {
		p := c.Status().Problems
		return len(p) > 0 && strings.Contains(p[0].Error, "no broker can be reached") && !c.Status().Connected
	})
	var records []ingest.Record
	for round := range 3 { // it comes, goes and comes again
		b, err := broker.Start(broker.Options{Dir: dir, Addr: addr})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the consumer is at work", func() bool { return c.Status().Connected && assigned(c) == 4 })
		more, _ := fleet(round*5, round*5+5)
		records = append(records, more...)
		in := intake(t, l, topic)
		mustAppend(t, in, more...)
		if round < 2 {
			eventually(t, "some are in the store", func() bool { return s.len() > len(records)-len(more) })
		} else {
			eventually(t, "everything is in the store", func() bool { return s.len() == len(records) && len(c.Status().Problems) == 0 })
		}
		in.Close()
		if round < 2 {
			b.Close()
			eventually(t, "the failure shows", func() bool { return !c.Status().Connected })
		} else {
			defer b.Close()
		}
	}
}

func TestNobodyIsThereWhenItStops(t *testing.T) {
	l := log{"away", []string{"127.0.0.1:" + freePort()}}
	c, stop := consume(t, l, ingest.Topic{Name: "never", Create: true}, newStore())
	eventually(t, "the failure shows", func() bool { return len(c.Status().Problems) > 0 })
	stop()
}

func TestOnlyCommittedTransactionsAreRead(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		client, err := kgo.NewClient(kgo.SeedBrokers(l.brokers...), kgo.DefaultProduceTopic(topic.Name), kgo.TransactionalID(topic.Name))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for round, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryAbort, kgo.TryCommit} {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for device := range 40 {
				r := reading(fmt.Sprint(device), round, 1)
				client.Produce(t.Context(), &kgo.Record{Key: r.Key, Value: r.Value}, nil)
			}
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := client.EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		c, _ := consume(t, l, topic, s)
		eventually(t, "the log is read to its end", func() bool { return caughtUp(c, begin) })
		if n, st := s.len(), c.Status(); n != 80 || st.Rejected != 0 {
			t.Errorf("%d readings, %d refused; want 80, 0", n, st.Rejected)
		}
	})
}

func TestADamagedBatchIsRefusedAndTheRestGoesOn(t *testing.T) {
	dir := t.TempDir()
	b, err := broker.Start(broker.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l := log{"damaged", []string{b.Addr()}}
	topic := ingest.Topic{Name: "damaged", Partitions: 1, Create: true}
	if err := ingest.EnsureTopic(t.Context(), l.connection(), topic); err != nil {
		t.Fatal(err)
	}
	in := intake(t, l, topic)
	for i := range 3 {
		mustAppend(t, in, reading("a", i, 1))
	}
	damage(t, dir, 1)
	s := newStore()
	c, _ := consume(t, l, topic, s)
	letter := deadLetters(t, l, topic, 1)[0]
	if header(letter, "reason") != ingest.BadBatch || header(letter, "source-offset") != "1" {
		t.Errorf("letter has headers %s", letter.Headers)
	}
	eventually(t, "its neighbours are in the store", func() bool { return s.len() == 2 && c.Status().LagRecords == 0 })
}

// damage changes the last byte of the second of three equally long batches.
func damage(t *testing.T, dir string, batch int64) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*", "damaged-0", "*.dat"))
	more, _ := filepath.Glob(filepath.Join(dir, "*", "damaged", "0", "*.dat"))
	files = append(files, more...)
	if len(files) != 1 {
		_ = filepath.Walk(dir, func(p string, _ os.FileInfo, _ error) error { t.Log(p); return nil })
		t.Fatalf("found segments %v", files)
	}
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	if _, err := f.WriteAt([]byte{0x55}, info.Size()/3*(batch+1)-20); err != nil {
		t.Fatal(err)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	sink := newStore().insert
	for name, o := range map[string]ingest.Options{
		"no broker":         {Topic: ingest.Topic{Name: "t"}, Sink: sink, Now: time.Now},
		"a broker's form":   {Connection: ingest.Connection{Brokers: []string{"localhost"}}, Topic: ingest.Topic{Name: "t"}, Sink: sink, Now: time.Now},
		"no topic":          {Connection: ingest.Connection{Brokers: []string{"localhost:1"}}, Sink: sink, Now: time.Now},
		"no sink":           {Connection: ingest.Connection{Brokers: []string{"localhost:1"}}, Topic: ingest.Topic{Name: "t"}, Now: time.Now},
		"unknown mechanism": {Connection: ingest.Connection{Brokers: []string{"localhost:1"}, SASL: ingest.SASL{Mechanism: "kerberos"}}, Topic: ingest.Topic{Name: "t"}, Sink: sink, Now: time.Now},
		"no such CA":        {Connection: ingest.Connection{Brokers: []string{"localhost:1"}, TLS: ingest.TLS{Enabled: true, CA: "/nowhere"}}, Topic: ingest.Topic{Name: "t"}, Sink: sink, Now: time.Now},
	} {
		if _, err := ingest.NewConsumer(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
