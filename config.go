package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Config is the configuration file. Every key can also be given as an
// environment variable: log.sync as BELFRY_LOG_SYNC, lists with commas.
type Config struct {
	Data      string          `yaml:"data"`     // data folder
	Listen    string          `yaml:"listen"`   // address of the API
	URL       string          `yaml:"url"`      // where people reach the API: in links of messages, and after signing in
	Insecure  bool            `yaml:"insecure"` // allow listening beyond loopback without TLS
	Roles     []string        `yaml:"roles"`    // parts that run: ingest, analyzer, api
	TLS       Certificate     `yaml:"tls"`      // of the API
	API       APIConfig       `yaml:"api"`
	OIDC      OIDCConfig      `yaml:"oidc"`
	Mail      MailConfig      `yaml:"mail"`
	Webhooks  WebhooksConfig  `yaml:"webhooks"`
	LogLevel  string          `yaml:"log_level"`  // debug, info, warn or error
	LogFormat string          `yaml:"log_format"` // text or json
	Log       LogConfig       `yaml:"log"`
	Warehouse WarehouseConfig `yaml:"warehouse"`
	Tickets   TicketsConfig   `yaml:"tickets"`
	Ingest    IngestConfig    `yaml:"ingest"`
	Analyzer  AnalyzerConfig  `yaml:"analyzer"`
	Door      DoorConfig      `yaml:"door"`

	Alertmanager AlertmanagerConfig `yaml:"alertmanager"`
	Incidents    IncidentsConfig    `yaml:"incidents"`
}

// APIConfig bounds what the API gives to those who ask much.
type APIConfig struct {
	Rate    float64 `yaml:"rate"`    // requests a second of each token; below 0: as many as it likes
	Burst   int     `yaml:"burst"`   // requests of it at once
	Streams int     `yaml:"streams"` // open streams of events
}

// MailConfig says how people are told by e-mail.
type MailConfig struct {
	In       MailInConfig  `yaml:"in"`
	Kept     time.Duration `yaml:"kept"`   // notices that are done with, of e-mail and webhooks
	Server   string        `yaml:"server"` // host:port of an SMTP server; "" sends no e-mail
	User     string        `yaml:"user"`
	Password string        `yaml:"password"`
	From     string        `yaml:"from"`
}

// MailInConfig says where messages to the desk come in.
type MailInConfig struct {
	Listen    string `yaml:"listen"`  // "" takes none
	Address   string `yaml:"address"` // of the mailbox
	LMTP      bool   `yaml:"lmtp"`
	Strangers bool   `yaml:"strangers"` // who is not known may open incidents
}

// WebhooksConfig says whom webhooks may call.
type WebhooksConfig struct {
	AllowPrivate bool `yaml:"allow_private"` // addresses that are not public too
}

// LogConfig says where the log of readings is: brokers, or without any the
// broker inside the process.
type LogConfig struct {
	Brokers    []string  `yaml:"brokers"`
	Topic      string    `yaml:"topic"`
	Partitions int       `yaml:"partitions"` // of a topic that belfry creates
	Listen     string    `yaml:"listen"`     // address of the broker inside the process
	Sync       bool      `yaml:"sync"`       // the broker inside the process survives power loss
	Retention  int       `yaml:"retention"`  // days for which that broker keeps what is in the warehouse, at least; 0 is for ever
	TLS        ClientTLS `yaml:"tls"`
	SASL       SASL      `yaml:"sasl"`
}

// WarehouseConfig says where ClickHouse is: servers, or without any address the
// engine inside the process.
type WarehouseConfig struct {
	Library   string    `yaml:"library"`   // file of the engine's library
	Addresses []string  `yaml:"addresses"` // host:port of the servers' HTTP interfaces
	User      string    `yaml:"user"`
	Password  string    `yaml:"password"`
	TLS       ClientTLS `yaml:"tls"`

	// Reader is a user of the servers that reads a tenant's database and can do nothing
	// else. {database} in its name stands for that; without it, it is the default tenant's.
	Reader struct {
		User     string `yaml:"user"`
		Password string `yaml:"password"`
	} `yaml:"reader"`

	Retention RetentionConfig `yaml:"retention"`
}

// RetentionConfig says for how many days things are kept at least; 0 is for ever.
type RetentionConfig struct {
	Readings   int `yaml:"readings"`
	Heartbeats int `yaml:"heartbeats"`
	Hours      int `yaml:"hours"` // what each device counted in each hour
}

// TicketsConfig says where incidents and the registry are kept: on a PostgreSQL
// server, or without an address in SQLite, in the data folder.
type TicketsConfig struct {
	Postgres string `yaml:"postgres"` // URL or key=value pairs, as libpq has them; the database must exist
}

// IngestConfig tunes the consumer.
type IngestConfig struct {
	BatchReadings int           `yaml:"batch_readings"` // a batch is written when it has so many readings
	BatchWait     time.Duration `yaml:"batch_wait"`     // or when its first one is so old
	FetchBytes    int           `yaml:"fetch_bytes"`    // asked of a partition at once
	MaxRecord     int           `yaml:"max_record"`     // bytes of a record; larger ones are refused
	Drain         time.Duration `yaml:"drain"`          // what an insert under way may take when it is told to stop
}

// AnalyzerConfig says which rules run.
type AnalyzerConfig struct {
	Rules  []string      `yaml:"rules"`   // rule files; none: the shipped catalogue
	MaxLag time.Duration `yaml:"max_lag"` // behind by more, conditions are unknown
}

// IncidentsConfig says when incidents wait and stand for others.
type IncidentsConfig struct {
	GroupWait  time.Duration `yaml:"group_wait"`  // a device's waits so long for one of its site; 0: not at all
	StormLimit int           `yaml:"storm_limit"` // more a minute go into one; 0: any number are shown
}

// DoorConfig says where ClickHouse's HTTP interface to the engine inside the
// process is, and what a statement through it may use.
type DoorConfig struct {
	Listen    string        `yaml:"listen"`     // "" shuts it
	MaxTime   time.Duration `yaml:"max_time"`   // of a statement
	MaxMemory int64         `yaml:"max_memory"` // of a statement, in bytes
	MaxRows   int64         `yaml:"max_rows"`   // of a result
	Sessions  int           `yaml:"sessions"`   // statements that run at once
}

// Certificate is a server's certificate and key, as PEM files.
type Certificate struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// ClientTLS says how a server is trusted.
type ClientTLS struct {
	Enabled bool   `yaml:"enabled"`
	CA      string `yaml:"ca"`   // PEM file; "" trusts what the system trusts
	Cert    string `yaml:"cert"` // of this client, when the server asks
	Key     string `yaml:"key"`
}

// SASL is how the consumer signs in to the brokers.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // plain, scram-sha-256 or scram-sha-512
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
}

var roles = []string{"ingest", "analyzer", "api"}

func defaultConfig() Config {
	return Config{
		Data: "belfry-data", Listen: "127.0.0.1:8080", Roles: roles, LogLevel: "info", LogFormat: "text",
		API:          APIConfig{Rate: 100, Burst: 200, Streams: 200},
		Log:          LogConfig{Topic: "belfry.default.telemetry", Partitions: 4, Listen: "127.0.0.1:9092"},
		Mail:         MailConfig{Kept: 90 * 24 * time.Hour},
		Analyzer:     AnalyzerConfig{MaxLag: 2 * time.Minute},
		Door:         DoorConfig{Listen: "127.0.0.1:8123", MaxTime: time.Minute, MaxMemory: 2 << 30, MaxRows: 10_000_000, Sessions: 4},
		Alertmanager: AlertmanagerConfig{Resend: time.Minute},
		Incidents:    IncidentsConfig{GroupWait: 30 * time.Second, StormLimit: 200},
	}
}

// loadConfig reads the file (none when path is "") and then the environment,
// given as os.Environ gives it. Unknown keys and variables are refused.
func loadConfig(path string, environ []string) (Config, error) {
	c := defaultConfig()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read the configuration: %w", err)
		}
		if err := decodeConfig(path, string(text), &c); err != nil {
			return c, err
		}
	}
	if err := applyEnvironment(&c, environ); err != nil {
		return c, err
	}
	return c, c.check()
}

func decodeConfig(path, text string, c *Config) error {
	err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(c)
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		p := at.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, p.Line, p.Column, at.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

// otherVariables start with BELFRY_ and are no configuration keys.
var otherVariables = []string{"BELFRY_CONFIG", "BELFRY_TOKEN", "BELFRY_ENGINE", "BELFRY_ENGINE_DIR", "BELFRY_ENGINE_SHA512",
	"BELFRY_KAFKA_DIR", "BELFRY_CLICKHOUSE_USER", "BELFRY_CLICKHOUSE_PASSWORD"}

func applyEnvironment(c *Config, environ []string) error {
	fields := map[string]reflect.Value{}
	configFields(reflect.ValueOf(c).Elem(), "BELFRY", fields)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "BELFRY_") || slices.Contains(otherVariables, name) || strings.HasPrefix(name, "BELFRY_TEST_") {
			continue
		}
		field, ok := fields[name]
		if !ok {
			return fmt.Errorf("environment variable %s is no configuration key; see deploy/belfry.example.yaml for the keys", name)
		}
		text := value
		if field.Kind() == reflect.Slice {
			text = "[" + value + "]"
		}
		if err := yaml.Unmarshal([]byte(text), field.Addr().Interface()); err != nil {
			return fmt.Errorf("environment variable %s: a value of the form %s is wanted", name, field.Type())
		}
	}
	return nil
}

func configFields(v reflect.Value, prefix string, into map[string]reflect.Value) {
	for i := range v.NumField() {
		name := prefix + "_" + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
		if f := v.Field(i); f.Kind() == reflect.Struct {
			configFields(f, name, into)
		} else {
			into[name] = f
		}
	}
}

func (c *Config) check() error {
	for _, r := range c.Roles {
		if !slices.Contains(roles, r) {
			return fmt.Errorf("roles: no role %q; want some of %s", r, strings.Join(roles, ", "))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls: cert and key belong together; give both or neither")
	}
	if err := c.checkMailIn(); err != nil {
		return err
	}
	if err := errors.Join(checkURL(c.URL), c.OIDC.check(c.URL)); err != nil {
		return err
	}
	if _, err := mail.ParseAddress(c.Mail.From); err != nil && c.Mail.Server != "" {
		return fmt.Errorf("mail.from: %q is no e-mail address; mail.server needs one to send from", c.Mail.From)
	}
	for key, address := range map[string]string{"listen": c.Listen, "log.listen": c.Log.Listen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s: %q; want host:port, such as 127.0.0.1:8080", key, address)
		}
	}
	if c.Door.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Door.Listen); err != nil {
			return fmt.Errorf("door.listen: %q; want host:port, such as 127.0.0.1:8123, or nothing", c.Door.Listen)
		}
		if !loopback(c.Door.Listen) && c.TLS.Cert == "" && !c.Insecure {
			return fmt.Errorf("door.listen: %s is beyond this machine; give tls.cert and tls.key, or say --insecure", c.Door.Listen)
		}
	}
	if !loopback(c.Listen) && c.TLS.Cert == "" && !c.Insecure {
		return fmt.Errorf("listen: %s is beyond this machine; give tls.cert and tls.key, or say --insecure", c.Listen)
	}
	if len(c.Log.Brokers) == 0 && !loopback(c.Log.Listen) {
		return fmt.Errorf("log.listen: %s is beyond this machine, and the broker inside the process asks nobody for a password; use 127.0.0.1, or name real brokers in log.brokers", c.Log.Listen)
	}
	if err := c.Alertmanager.check(); err != nil {
		return err
	}
	if c.Log.Retention < 0 {
		return errors.New("log.retention: days are wanted, 0 or more; 0 keeps everything")
	}
	if c.Log.Retention > 0 && len(c.Log.Brokers) > 0 {
		return errors.New("log.retention: it is for the log inside this process; with log.brokers leave it out, and set the topics' own retention.ms there")
	}
	if r := c.Warehouse.Retention; min(r.Readings, r.Heartbeats, r.Hours) < 0 {
		return errors.New("warehouse.retention: days are wanted, 0 or more; 0 keeps everything")
	}
	for key, n := range map[string]int64{"batch_readings": int64(c.Ingest.BatchReadings), "batch_wait": int64(c.Ingest.BatchWait),
		"fetch_bytes": int64(c.Ingest.FetchBytes), "max_record": int64(c.Ingest.MaxRecord), "drain": int64(c.Ingest.Drain)} {
		if n < 0 {
			return fmt.Errorf("ingest.%s: less than nothing; 0 leaves it to belfry", key)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		return fmt.Errorf("log_level: %q; want debug, info, warn or error", c.LogLevel)
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// clientConfig returns what crypto/tls needs; nil when TLS is off.
func (t ClientTLS) clientConfig() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("read the client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
