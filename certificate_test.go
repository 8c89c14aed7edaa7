package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate writes a self-signed certificate of that name, with a time of
// change that differs from any before.
func writeCertificate(t *testing.T, files Certificate, name string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	changed := time.Unix(1_700_000_000+serial, 0)
	for file, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		err := errors.Join(os.WriteFile(file, pem.EncodeToMemory(block), 0o600), os.Chtimes(file, changed, changed))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	files := Certificate{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if _, err := openCertificate(files, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a certificate that is not there was opened")
	}
	writeCertificate(t, files, "first", 1)
	var log bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	c, err := openCertificate(files, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c.config())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	want := func(name string) {
		t.Helper()
		if got := nameOf(t, ln.Addr()); got != name {
			t.Errorf("the server is %s; want %s", got, name)
		}
	}
	want("first")
	writeCertificate(t, files, "second", 2)
	want("first") // the files are looked at once a second
	now = now.Add(checkEvery)
	want("second")
	if err := os.WriteFile(files.Key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(checkEvery)
		want("second")
	}
	if n := strings.Count(log.String(), "can't be used"); n != 1 {
		t.Errorf("%d entries about the broken key: %s", n, &log)
	}
	writeCertificate(t, files, "third", 3)
	now = now.Add(checkEvery)
	want("third")
	_ = ln.Close()
	<-accepted
}

func nameOf(t *testing.T, address net.Addr) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}
