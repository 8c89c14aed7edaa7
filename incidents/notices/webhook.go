package notices

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"belfry/incidents"
)

// Headers of a call. The signature reads t=<seconds since 1970>,v1=<hex>, where
// hex is the HMAC-SHA256, under the subscription's secret, of the seconds, a full
// stop and the body.
const (
	HeaderSignature = "Belfry-Signature"
	HeaderNotice    = "Belfry-Notice" // the notice's key; the same when it is sent again
	HeaderEvent     = "Belfry-Event"  // the kind of the event
)

// Call is the body of a webhook's call.
type Call struct {
	Key      string           `json:"key"`
	Tenant   string           `json:"tenant"`
	Reason   incidents.Reason `json:"reason"`
	Event    CallEvent        `json:"event"`
	Incident CallIncident     `json:"incident"` // as it is at the time of the call
}

// CallEvent is what happened.
type CallEvent struct {
	Ref      string               `json:"ref"`
	Seq      int64                `json:"seq"`
	At       time.Time            `json:"at"`
	Actor    string               `json:"actor"`
	Source   incidents.Source     `json:"source"`
	Kind     incidents.Transition `json:"kind"`
	Text     string               `json:"text,omitempty"`
	Internal bool                 `json:"internal,omitempty"`
}

// CallIncident is the incident that it happened to.
type CallIncident struct {
	Ref       string          `json:"ref"`
	Version   int64           `json:"version"`
	State     incidents.State `json:"state"`
	Condition string          `json:"condition"`
	Category  string          `json:"category"`
	Priority  int             `json:"priority"`
	Level     int             `json:"level"`
	Summary   string          `json:"summary"`
	Site      string          `json:"site,omitempty"`
	Device    string          `json:"device,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Assignee  string          `json:"assignee,omitempty"`
	OpenedAt  time.Time       `json:"opened_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

// Limits of a call.
const (
	callTimeout = 10 * time.Second
	answerRead  = 4 << 10 // bytes of an answer that are looked at
)

// hooks calls webhooks.
type hooks struct{ client *http.Client }

// newHooks returns a caller that follows no redirect, uses no proxy and, unless it
// is allowed to, connects to public addresses alone. The check sees the address
// that the connection is made to, after the name was looked up, so a name that
// changes its mind gains nothing.
func newHooks(allowPrivate bool) *hooks {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !allowPrivate {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return checkPublic(address) }
	}
	return &hooks{&http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: callTimeout,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		},
	}}
}

// errPrivate says that an address is not for webhooks.
var errPrivate = errors.New("is no public address")

// notPublic are special ranges that netip does not name: this network, carrier
// NAT, protocol assignments, documentation, benchmarks, 6to4 and NAT64, which
// carry other addresses inside, and what is reserved.
var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
	"2002::/16", "fec0::/10")

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// checkPublic refuses an address, as the dialer gives it, that is not public.
func checkPublic(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s %w", address, errPrivate)
	}
	ip := at.Addr().Unmap().WithZone("")
	public := ip.IsGlobalUnicast() && !ip.IsPrivate()
	for _, p := range notPublic {
		public = public && !p.Contains(ip)
	}
	if !public {
		return fmt.Errorf("%s %w", ip, errPrivate)
	}
	return nil
}

func (w *Worker) call(ctx context.Context, n incidents.Notice, e incidents.Event, inc incidents.Incident, at time.Time) (string, error) {
	hook, err := w.Outbox.Webhook(ctx, n.Recipient)
	if errors.Is(err, incidents.ErrNotFound) {
		return "", errGone
	}
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(Call{Key: n.Key, Tenant: w.Tenant, Reason: n.Reason,
		Event: CallEvent{e.Ref, e.Seq, e.At, e.Actor, e.Source, e.Kind, e.Text, e.Internal},
		Incident: CallIncident{inc.Ref, inc.Version, inc.State, string(inc.Condition), inc.Category, inc.Priority, inc.Level, inc.Summary,
			inc.Site, inc.Device, inc.Rule, inc.Assignee, inc.OpenedAt, inc.UpdatedAt}})
	if err != nil {
		return "", fmt.Errorf("write notice %s: %w", n.Key, err)
	}
	return w.hooks.post(ctx, hook, n.Key, string(e.Kind), body, at)
}

// post sends a signed body. Anything but a 2xx is an error.
func (h *hooks) post(ctx context.Context, hook incidents.Webhook, key, kind string, body []byte, at time.Time) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("call %s: %w", hook.URL, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "belfry")
	req.Header.Set(HeaderSignature, Sign(hook.Secret, body, at))
	req.Header.Set(HeaderNotice, key)
	req.Header.Set(HeaderEvent, kind)
	resp, err := h.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerRead)) // so that the connection can be used again
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return "", fmt.Errorf("answered %s; redirects are not followed", resp.Status)
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		return "", fmt.Errorf("answered %s", resp.Status)
	}
	return resp.Status, nil
}

// Sign returns the signature header of a body that is sent at that time.
func Sign(secret string, body []byte, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
