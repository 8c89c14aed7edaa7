package ingest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// What can be wrong with the way to the log. Errors of this package wrap one of
// them where it applies.
var (
	ErrUnreachable  = errors.New("no broker can be reached")
	ErrCredentials  = errors.New("the broker refuses our credentials")
	ErrMissingTopic = errors.New("the topic does not exist")
)

// Secret is text that shows itself as *** wherever it is printed or logged.
type Secret string

// String returns *** unless the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString returns what String returns, quoted.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Connection says where the log is and how to get in.
type Connection struct {
	Brokers []string // host:port, at least one
	TLS     TLS
	SASL    SASL
}

// TLS are the settings of an encrypted connection. The files are PEM.
type TLS struct {
	Enabled     bool
	CA          string // file with the authorities to trust; "": the system's
	Certificate string // file with our certificate, when the broker wants one
	Key         string // file with its key
	ServerName  string // "": the broker's host name
	Insecure    bool   // don't check the broker's certificate
}

// SASL are the credentials. An empty Mechanism means none.
type SASL struct {
	Mechanism string // plain, scram-sha-256 or scram-sha-512
	User      string
	Password  Secret
}

// dialTimeout bounds the making of one connection, handshakes included.
const dialTimeout = 5 * time.Second

// link is a Connection made ready: files read, mechanism chosen.
type link struct {
	brokers []string
	tls     *tls.Config
	sasl    sasl.Mechanism
}

// open checks the settings and reads the files; it does not connect.
func (c Connection) open() (*link, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker is configured; want at least one host:port")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("broker %q: want host:port: %w", b, err)
		}
	}
	secured, err := c.TLS.config()
	if err != nil {
		return nil, err
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	return &link{c.Brokers, secured, mechanism}, nil
}

// Check returns what is wrong with the settings, or nil. It reads the files
// they name and does not connect.
func (c Connection) Check() error {
	_, err := c.open()
	return err
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", t.CA)
		}
	}
	if t.Certificate != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("load the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	var m sasl.Mechanism
	var err error
	switch strings.ToLower(s.Mechanism) {
	case "":
		return nil, nil
	case "plain":
		m = plain.Mechanism{Username: s.User, Password: string(s.Password)}
	case "scram-sha-256":
		m, err = scram.Mechanism(scram.SHA256, s.User, string(s.Password))
	case "scram-sha-512":
		m, err = scram.Mechanism(scram.SHA512, s.User, string(s.Password))
	default:
		return nil, fmt.Errorf("SASL mechanism %q; want plain, scram-sha-256 or scram-sha-512", s.Mechanism)
	}
	if err != nil {
		return nil, fmt.Errorf("SASL %s: %w", s.Mechanism, err)
	}
	return m, nil
}

// transport returns a pool of connections for requests that are not fetches.
// Its owner closes it with CloseIdleConnections.
func (l *link) transport() *kafka.Transport {
	return &kafka.Transport{
		ClientID: "belfry", TLS: l.tls, SASL: l.sasl,
		DialTimeout: dialTimeout, MetadataTTL: 3 * time.Second,
	}
}

func (l *link) addr() net.Addr { return kafka.TCP(l.brokers...) }

func (l *link) dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: "belfry", Timeout: dialTimeout, TLS: l.tls, SASLMechanism: l.sasl}
}

// dial connects to one broker and signs in. kafka-go does the signing in; after
// that the bytes are ours.
func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var raw net.Conn
	d := l.dialer()
	d.TLS = nil
	d.DialFunc = func(ctx context.Context, network, to string) (conn net.Conn, err error) {
		raw, err = l.dialRaw(ctx, address)
		return raw, err
	}
	if _, err := d.DialContext(ctx, "tcp", address); err != nil {
		if raw != nil {
			raw.Close()
		}
		return nil, explain(fmt.Errorf("connect to %s: %w", address, err))
	}
	return raw, nil
}

func (l *link) dialRaw(ctx context.Context, address string) (net.Conn, error) {
	if l.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: l.tls}).DialContext(ctx, "tcp", address)
}

// verify signs in to the first broker that answers.
func (l *link) verify(ctx context.Context) error {
	var errs []error
	for _, b := range l.brokers {
		conn, err := l.dial(ctx, b)
		if err == nil {
			return conn.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// explain wraps an error of the client with the sentinel that it stands for.
func explain(err error) error {
	if err == nil || errors.Is(err, ErrCredentials) || errors.Is(err, ErrMissingTopic) || errors.Is(err, ErrUnreachable) {
		return err
	}
	var netErr net.Error
	var answer kafka.Error // it would pass for a net.Error, but who answers can be reached
	switch {
	case errors.Is(err, kafka.SASLAuthenticationFailed), errors.Is(err, kafka.UnsupportedSASLMechanism), strings.Contains(err.Error(), "SASL"):
		return fmt.Errorf("%w (mechanism, user or password): %w", ErrCredentials, err)
	case errors.Is(err, kafka.UnknownTopicOrPartition):
		return fmt.Errorf("%w: %w", ErrMissingTopic, err)
	case errors.As(err, &answer):
	case errors.As(err, &netErr), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
