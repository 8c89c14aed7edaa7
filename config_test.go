package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheExampleConfigurationIsTheDefault(t *testing.T) {
	got, err := loadConfig("deploy/belfry.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Data = got.Data // a service keeps its data elsewhere
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example says\n%+v\nand the defaults are\n%+v", got, want)
	}
}

func TestTheEnvironmentOverridesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	text := "listen: 127.0.0.1:1\nlog:\n  sync: false\n  brokers: [kafka:1]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(file, []string{"HOME=/", "BELFRY_LISTEN=127.0.0.1:2", "BELFRY_LOG_SYNC=true",
		"BELFRY_LOG_BROKERS=b:1,c:2", "BELFRY_INGEST_BATCH_WAIT=2s", "BELFRY_ENGINE=/x"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || !c.Log.Sync || strings.Join(c.Log.Brokers, " ") != "b:1 c:2" || c.Ingest.BatchWait != 2*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestAWrongConfigurationIsRefusedInWords(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 127.0.0.1:1\nlissten: x\n":       "2:1",
		"log:\n  snyc: true\n":                    "2:3",
		"log: {sync: maybe}\n":                    "1:13",
		"roles: [cook]\n":                         `no role "cook"`,
		"listen: 0.0.0.0:8080\n":                  "--insecure",
		"log: {listen: '0.0.0.0:9092'}\n":         "log.brokers",
		"tls: {cert: a.pem}\n":                    "belong together",
		"listen: nowhere\n":                       "host:port",
		"log_level: loud\n":                       "debug, info",
		"warehouse: {retention: {hours: -1}}\n":   "0 keeps everything",
		"log: {retention: -1}\n":                  "0 keeps everything",
		"log: {retention: 7, brokers: ['k:1']}\n": "retention.ms",
		"ingest: {drain: -1s}\n":                  "0 leaves it to belfry",
		"log: [\n":                                ":",
	} {
		file := filepath.Join(t.TempDir(), "belfry.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(file, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant a fault with %q", text, err, want)
		}
	}
	if _, err := loadConfig("", []string{"BELFRY_LISSTEN=x"}); err == nil || !strings.Contains(err.Error(), "BELFRY_LISSTEN") {
		t.Errorf("an unknown variable: got %v", err)
	}
	if _, err := loadConfig("", []string{"BELFRY_LOG_PARTITIONS=many"}); err == nil || !strings.Contains(err.Error(), "BELFRY_LOG_PARTITIONS") {
		t.Errorf("a variable that is no number: got %v", err)
	}
}

func TestAProviderOfIdentitiesNeedsRolesAndAWayBack(t *testing.T) {
	for name, tt := range map[string]struct{ config, want string }{
		"all there":       {"url: https://b.example\noidc: {issuer: \"https://i.example\", client: b, role: groups, roles: {a: admin}}", ""},
		"no way back":     {"oidc: {issuer: \"https://i.example\", client: b, role: groups, roles: {a: admin}}", "url: is missing"},
		"no TLS":          {"url: https://b.example\noidc: {issuer: \"http://i.example\", client: b, role: groups, roles: {a: admin}}", "oidc.issuer"},
		"no client":       {"url: https://b.example\noidc: {issuer: \"https://i.example\", role: groups, roles: {a: admin}}", "oidc.client"},
		"no roles":        {"url: https://b.example\noidc: {issuer: \"https://i.example\", client: b}", "oidc.role"},
		"a device's role": {"url: https://b.example\noidc: {issuer: \"https://i.example\", client: b, role: groups, roles: {a: device}}", "no role \"device\" for people"},
		"a path":          {"url: https://b.example/x", "without a path"},
	} {
		path := filepath.Join(t.TempDir(), "belfry.yaml")
		if err := os.WriteFile(path, []byte(tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(path, nil); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
