package ingest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/telemetry"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestAnInsertUnderWayIsFinishedAndCommittedWhenToldToStop(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		mustAppend(t, intake(t, l, topic), reading("a", 0, 1))
		entered, leave := make(chan bool), make(chan bool)
		_, stop := consume(t, l, topic, s, func(o *ingest.Options) {
			o.Sink = func(ctx context.Context, b *telemetry.Batch) error {
				close(entered)
				<-leave
				if err := ctx.Err(); err != nil {
					return err
				}
				return s.insert(ctx, b)
			}
		})
		<-entered
		time.AfterFunc(100*time.Millisecond, func() { close(leave) })
		stop()
		begin := time.Now()
		again, _ := consume(t, l, topic, s)
		eventually(t, "the next one has nothing to do", func() bool { return caughtUp(again, begin) && assigned(again) == 4 })
		if s.inserted != 1 {
			t.Errorf("inserted %d rows; want 1", s.inserted)
		}
	})
}

func TestAnInsertThatHangsIsGivenUpAndReadAgain(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		mustAppend(t, intake(t, l, topic), reading("a", 0, 1))
		entered := make(chan bool)
		_, stop := consume(t, l, topic, s, func(o *ingest.Options) {
			o.Drain = 50 * time.Millisecond
			o.Sink = func(ctx context.Context, b *telemetry.Batch) error {
				close(entered)
				<-ctx.Done()
				return ctx.Err()
			}
		})
		<-entered
		stop()
		consume(t, l, topic, s)
		eventually(t, "the reading is in the store", func() bool { return s.len() == 1 })
	})
}

func TestTLS(t *testing.T) {
	pair, ca := certificate(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}),
		kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "eve", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	secured := ingest.Connection{Brokers: cluster.ListenAddrs(), TLS: ingest.TLS{Enabled: true, CA: ca},
		SASL: ingest.SASL{Mechanism: "scram-sha-512", User: "eve", Password: "secret"}}
	topic := ingest.Topic{Name: "secured", Create: true}
	if err := ingest.EnsureTopic(t.Context(), secured, topic); err != nil {
		t.Fatal(err)
	}
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: secured, Topic: topic.Name, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	mustAppend(t, in, reading("a", 0, 1))
	s := newStore()
	consume(t, log{"tls", secured.Brokers}, topic, s, func(o *ingest.Options) { o.Connection = secured })
	eventually(t, "the reading is in the store", func() bool { return s.len() == 1 })

	stranger := secured
	stranger.TLS.CA = ""
	if err := ingest.EnsureTopic(t.Context(), stranger, topic); err == nil {
		t.Error("a broker with an unknown authority is trusted")
	}
}

// certificate makes one for 127.0.0.1 and returns it, and the file of its authority.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
