package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/incidents"
	"belfry/telemetry"
)

// Parts are what the API stands on. Desk, Registry and Tokens are needed; a nil
// function answers 503: this process does not run that part.
type Parts struct {
	Tenant      string // whose tokens open this door
	Desk        *incidents.Desk
	Registry    Registry
	Tokens      Tokens
	Sessions    Sessions    // of browsers; nil has none
	Provider    Provider    // vouches for people; nil: tokens alone
	URL         string      // where people reach the API, without a path; as the request has it when empty
	Answers     Answers     // to requests with an Idempotency-Key; nil ignores the key
	Feed        Feed        // of GET /events; nil answers 503
	Live        LiveLimits  // of the same
	Rate        RateLimit   // of each token
	Audit       Audit       // nil keeps no records
	Attachments Attachments // nil answers 503
	Links       Links       // of people who approve without signing in; nil has none
	Notices     Notices     // nil answers 503
	Tenants     Tenants     // nil answers 503
	Backups     Backups     // nil answers 503

	// Intake writes the readings in a body to the log and returns when the log has
	// them: how many were taken, and which lines were not. The body is the caller's
	// again afterwards. An error means that nothing may be taken as accepted.
	Intake func(ctx context.Context, body []byte, at time.Time) (accepted int, bad []BadLine, err error)
	// Readings returns a device's counts, summed over steps, in order of time.
	Readings func(ctx context.Context, q ReadingsQuery) ([]Reading, error)
	// Rules returns the running rules, in the order of their names.
	Rules func(ctx context.Context) ([]Rule, error)
	// LaterRules returns the rules that are to run by themselves some day.
	LaterRules func(ctx context.Context, at time.Time) ([]LaterRule, error)
	// PutRule writes a rule, or drops what was written of it: a FaultyRules error says
	// that it can't run, ErrNoMatch that the change names no ETag.
	PutRule func(ctx context.Context, q RuleChange) (Rule, error)
	// RuleHistory returns the versions of a rule, the newest first.
	RuleHistory func(ctx context.Context, name string) ([]RuleVersion, error)
	// CheckRules returns every fault of the rule files; none when they can run.
	CheckRules func(ctx context.Context, files []RuleFile) ([]FileFault, error)
	// Backtest runs rules over stored history; a FaultyRules error says that they
	// can't run.
	Backtest func(ctx context.Context, q BacktestQuery) (json.RawMessage, error)
	// ExplainRules evaluates rules at an instant and says what that asks of the
	// warehouse and takes.
	ExplainRules func(ctx context.Context, q ExplainQuery) (json.RawMessage, error)
	// Ingest says how far ingestion is.
	Ingest func(ctx context.Context) (Ingest, error)
	// PauseIngest pauses partitions of the log or lets them go on, all of them when
	// none is named, and says how far ingestion is then.
	PauseIngest func(ctx context.Context, partitions []int, paused bool) (Ingest, error)
	// Dead returns refused records, those of one reason unless it is "", the newest
	// first, and where to go on.
	Dead func(ctx context.Context, reason string, limit int, cursor string) ([]DeadLetter, string, error)
	// DeadLetter returns one refused record with its whole body.
	DeadLetter func(ctx context.Context, id string) (DeadLetter, error)
	// RetryDead sends refused records again, which are then not listed any more.
	RetryDead func(ctx context.Context, q RetryQuery) (Retried, error)
	// Ready says of each part by name whether it answers; nil means that it does.
	Ready func(ctx context.Context) map[string]error

	Metrics http.Handler // of GET /metrics

	// Page returns the pages for people as a token's owner sees them, at PagePaths
	// ("/sites/:id"); nil: there are none.
	Page      func(incidents.Token) http.Handler
	PagePaths []string

	Registerer prometheus.Registerer // for the API's own metrics; may be nil
	Version    string
	Now        func() time.Time // time.Now when nil
	Log        *slog.Logger     // discards when nil
}

// Registry holds sites and devices. Its errors are those of incidents.
type Registry interface {
	Sites(ctx context.Context, q incidents.SiteQuery) ([]incidents.SiteRow, error)
	Site(ctx context.Context, id string) (incidents.SiteRow, error)
	CreateSite(ctx context.Context, s telemetry.Site) (incidents.SiteRow, error)
	UpdateSite(ctx context.Context, s telemetry.Site, version int64) (incidents.SiteRow, error)
	Devices(ctx context.Context, q incidents.DeviceQuery) ([]incidents.DeviceRow, error)
	Device(ctx context.Context, name string) (incidents.DeviceRow, error)
	CreateDevice(ctx context.Context, d telemetry.Device) (incidents.DeviceRow, error)
	UpdateDevice(ctx context.Context, d telemetry.Device, version int64) (incidents.DeviceRow, error)
	Import(ctx context.Context, sites []telemetry.Site, devices []telemetry.Device) error
}

// Tokens holds the keys to the API.
type Tokens interface {
	Authenticate(ctx context.Context, text string, at time.Time) (incidents.Token, error)
	CreateToken(ctx context.Context, t incidents.Token, at time.Time) (token incidents.Token, secret string, err error)
	Tokens(ctx context.Context, tenant string) ([]incidents.Token, error)
	RevokeToken(ctx context.Context, tenant, id string, at time.Time) error
}

// ErrBusy says that the log is behind and takes no more for the moment.
var ErrBusy = errors.New("the log is behind")

// ErrAway says that the log can't be reached.
var ErrAway = errors.New("the log can't be reached")

// BadLine is one reading that was refused.
type BadLine struct {
	Line   int    `json:"line" doc:"Its line, or its place in the array, from 1"`
	Reason string `json:"reason" doc:"The reason's short name"`
	Detail string `json:"detail,omitempty" doc:"What is wrong, and what is wanted"`
}

// ReadingsQuery asks for the counts of a device in the span (From, To].
type ReadingsQuery struct {
	Device   string
	From, To time.Time
	Step     time.Duration // 0: as they were sent
	Limit    int
}

// Reading is what a device counted in the step that ends at TS.
type Reading struct {
	TS       time.Time `json:"ts" doc:"End of the interval or step"`
	In       int64     `json:"in"`
	Out      int64     `json:"out"`
	Readings int64     `json:"readings" doc:"How many readings make this up"`
}

// Rule is a running rule.
type Rule struct {
	Name     string `json:"name"`
	About    string `json:"about,omitempty"`
	Scope    string `json:"scope" doc:"device, site, group(LABEL) or tenant"`
	Category string `json:"category"`
	When     string `json:"when" doc:"Its condition"`
	Schedule string `json:"schedule" doc:"every 5m, at close+60m, ..."`
	Hash     string `json:"hash" doc:"Of the rule's text"`
	Source   string `json:"source,omitempty" doc:"The file that it stands in"`
	Text     string `json:"text,omitempty" doc:"The rule as it is written"`

	Version   int64     `json:"version,omitempty" doc:"Of a rule that was changed through the API"`
	Actor     string    `json:"actor,omitempty" doc:"Who changed it"`
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Why       string    `json:"why,omitempty" doc:"Why it runs from changed_at on though nobody chose it, such as: after four weeks of history"`

	// What people made of its incidents in the last 90 days; the API fills it in.
	Judged             int      `json:"judged,omitempty" doc:"Incidents of the last 90 days that people have ended"`
	FalsePositives     int      `json:"false_positives,omitempty" doc:"Of these, those behind which nothing was wrong"`
	FalsePositiveShare *float64 `json:"false_positive_share,omitempty" doc:"Of those that people have ended"`
}

// LaterRule is a rule that will run by itself, unless somebody writes or drops it before.
type LaterRule struct {
	Name string    `json:"name"`
	From time.Time `json:"from,omitzero" doc:"From when on; missing while there is no history at all"`
	Why  string    `json:"why" doc:"What it waits for"`
}

// RuleVersion is a rule as it once was.
type RuleVersion struct {
	Version int64     `json:"version"`
	Text    string    `json:"text"`
	Dropped bool      `json:"dropped,omitempty" doc:"The rule of the files counted again"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
}

// RuleChange writes a rule, or drops what was written of it.
type RuleChange struct {
	Name, Text string
	Drop       bool
	SQL        bool   // the actor may write rules in SQL
	Match      string // hash of the rule that it is meant for; "*" any; "" none was named
	Actor      string
	At         time.Time
}

// ErrNoMatch says that a change does not name what it is meant for.
var ErrNoMatch = errors.New("no ETag was named")

// RuleFile is the text of a rule file.
type RuleFile struct {
	Name string `json:"name" maxLength:"256" doc:"What the file is called in messages"`
	Text string `json:"text" maxLength:"500000" doc:"YAML"`
}

// FileFault is one thing wrong in a rule file.
type FileFault struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Wrong  string `json:"wrong" doc:"What is wrong; what is wanted"`
}

// FaultyRules is the error of rules that can't run.
type FaultyRules []FileFault

// Error lists the faults as file:line:col: text.
func (f FaultyRules) Error() string {
	text := ""
	for i, x := range f {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf("%s:%d:%d: %s", x.File, x.Line, x.Column, x.Wrong)
	}
	return text
}

// BacktestQuery asks what rules would have found in the span (From, To].
type BacktestQuery struct {
	Files    []RuleFile `json:"files,omitempty" maxItems:"100" doc:"The rules; the running ones when left out"`
	Rule     string     `json:"rule,omitempty" maxLength:"64" doc:"Only this one of them"`
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	Labels   string     `json:"labels,omitempty" maxLength:"900000" doc:"What is known to be wrong, as CSV, to measure against"`
	Findings bool       `json:"findings,omitempty" doc:"Whether to list each finding"`
	SQL      bool       `json:"-"` // the asker may bring rules in SQL
}

// ExplainQuery asks how rules are evaluated.
type ExplainQuery struct {
	Files []RuleFile `json:"files,omitempty" maxItems:"100" doc:"The rules; the running ones when left out"`
	At    time.Time  `json:"at,omitzero" doc:"The instant; now when left out"`
	SQL   bool       `json:"-"` // the asker may bring rules in SQL
}

// Ingest says how far ingestion is.
type Ingest struct {
	Topic      string      `json:"topic"`
	Watermark  time.Time   `json:"watermark,omitzero" doc:"Everything that arrived by then is in the warehouse"`
	Partitions []Partition `json:"partitions"`
	Error      string      `json:"error,omitempty" doc:"Why the log as a whole does not go on, such as that no broker can be reached; it is tried again"`
}

// Partition is one partition of the log.
type Partition struct {
	Partition  int       `json:"partition"`
	End        int64     `json:"end" doc:"Offset of the next record to be written"`
	Done       int64     `json:"done" doc:"Offset of the next record to be ingested"`
	LagRecords int64     `json:"lag_records"`
	LagSeconds float64   `json:"lag_seconds"`
	Newest     time.Time `json:"newest,omitzero" doc:"Newest event time seen"`
	Paused     bool      `json:"paused,omitempty" doc:"Somebody has paused it; it goes on when told to resume"`
	Since      time.Time `json:"paused_since,omitzero"`
	Error      string    `json:"error,omitempty" doc:"Why it does not go on"`
}

// DeadLetter is a record, or a part of one, that was refused.
type DeadLetter struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail,omitempty"`
	Partition int       `json:"partition" doc:"Where it came from"`
	Offset    int64     `json:"offset"`
	Body      string    `json:"body" doc:"What was sent, cut at 4096 bytes in a list"`
	Base64    bool      `json:"base64,omitempty" doc:"Whether the body is no text and stands in base64"`
	Retried   bool      `json:"retried,omitempty" doc:"Whether it was sent again"`
}

// RetryQuery says which refused records are to be sent again.
type RetryQuery struct {
	IDs    []string `json:"ids,omitempty" maxItems:"10000" doc:"These; all that were not sent again yet when left out"`
	Reason string   `json:"reason,omitempty" maxLength:"64" doc:"Only those that were refused for it"`
}

// Retried says what became of a retry.
type Retried struct {
	Retried int       `json:"retried" doc:"How many are in the log again; what is refused once more is listed anew"`
	Skipped int       `json:"skipped" doc:"How many can't be sent again, or were before"`
	Why     []Skipped `json:"why,omitempty" doc:"The first hundred of the skipped"`
}

// Skipped is a refused record that was not sent again.
type Skipped struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}
