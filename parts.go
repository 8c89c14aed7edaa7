package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/incidents/store"
	"belfry/ingest"
	"belfry/telemetry"
)

// openLog opens the way in for readings.
func (w *watch) openLog(ctx context.Context) (err error) {
	if w.warehouseless() {
		return nil
	}
	topic := w.topicOf(w.tenant)
	if w.broker != nil { // elsewhere the consumer makes it, when it can be reached
		if err := ingest.EnsureTopic(ctx, w.connection(), topic); err != nil {
			return err
		}
	}
	w.intake, err = ingest.NewIntake(ingest.IntakeOptions{Connection: w.connection(), Topic: topic.Name,
		Behind: w.behind, Now: time.Now, Log: w.log, Registerer: w.metrics})
	if err != nil {
		return err
	}
	w.closeLater(w.intake.Close)
	w.dead, err = ingest.NewDeadLetters(ingest.DeadOptions{Connection: w.connection(), Topic: topic,
		Intake: w.intake, Now: time.Now, Log: w.log})
	if err != nil {
		return err
	}
	w.closeLater(w.dead.Close)
	return nil
}

func logConnection(c LogConfig) ingest.Connection {
	return ingest.Connection{
		Brokers: c.Brokers,
		TLS:     ingest.TLS{Enabled: c.TLS.Enabled, CA: c.TLS.CA, Certificate: c.TLS.Cert, Key: c.TLS.Key},
		SASL:    ingest.SASL{Mechanism: c.SASL.Mechanism, User: c.SASL.User, Password: ingest.Secret(c.SASL.Password)},
	}
}

// topicOf is a tenant's. That of the default tenant is configured.
func (p *process) topicOf(tenant string) ingest.Topic {
	t := ingest.Topic{Name: p.config.Log.Topic, Partitions: p.config.Log.Partitions, Create: true}
	if tenant != store.DefaultTenant {
		t.Name = "belfry." + tenant + ".telemetry"
	}
	return t
}

// group is the consumer group. A tenant that is made again under a name that was
// there before begins with a topic, and so with a group, of its own.
func (w *watch) group() string {
	if w.tenant == store.DefaultTenant {
		return ingest.DefaultGroup
	}
	return fmt.Sprintf("%s.%s.%d", ingest.DefaultGroup, w.tenant, w.number)
}

// openIngest makes the consumer that carries the log into the warehouse.
func (w *watch) openIngest(context.Context) (err error) {
	if w.warehouseless() || !w.has("ingest") {
		return nil
	}
	w.consumer, err = ingest.NewConsumer(w.consumption())
	return err
}

// consumption is how readings are taken in.
func (w *watch) consumption() ingest.Options {
	return ingest.Options{
		Connection: w.connection(), Topic: w.topicOf(w.tenant), Group: w.group(),
		MaxReadings: w.config.Ingest.BatchReadings, MaxDelay: w.config.Ingest.BatchWait, FetchBytes: w.config.Ingest.FetchBytes,
		MaxRecordBytes: w.config.Ingest.MaxRecord, Drain: w.config.Ingest.Drain,
		Sink: w.warehouse.Insert, Register: w.register, Now: time.Now, Log: w.log, Registerer: w.metrics,
	}
}

// trimEvery is the time between two looks for records that are too old.
const trimEvery = time.Hour

// trimLog deletes from the log inside the process what is older than its retention
// and in the warehouse, until the context ends.
func (w *watch) trimLog(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		if err := w.consumer.Trim(ctx, time.Now().AddDate(0, 0, -w.config.Log.Retention)); err != nil && ctx.Err() == nil {
			w.log.Warn("old records were not deleted from the log; it is tried again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// register notes devices that were heard of for the first time.
func (w *watch) register(ctx context.Context, devices []ingest.NewDevice) error {
	fresh := make([]telemetry.Device, len(devices))
	for i, d := range devices {
		fresh[i] = telemetry.Device{Name: d.Name, InServiceSince: d.FirstArrival, ReadingEvery: d.Interval}
	}
	added, err := w.tickets.RegisterDevices(ctx, fresh)
	if added > 0 {
		w.log.Info("devices registered themselves", "devices", added)
	}
	return err
}

// openAnalyzer loads the rules, and makes the analyzer. Where no readings are taken in,
// a consumer that only looks says how far the others are.
func (w *watch) openAnalyzer(ctx context.Context) error {
	if err := w.openRules(ctx); err != nil {
		return err
	}
	if w.warehouse == nil {
		return nil
	}
	w.fleet = &fleetKeeper{registry: w.tickets, warehouse: w.warehouse, log: w.log}
	if !w.has("analyzer") || w.intake == nil {
		return nil
	}
	if w.arrived = w.consumer; w.arrived == nil {
		var err error
		if w.arrived, err = ingest.NewConsumer(w.consumption()); err != nil {
			return err
		}
	}
	fleet, _, err := w.fleet.fleet(ctx)
	if err != nil {
		return err
	}
	w.analyzer, err = analyzer.New(ctx, analyzer.Config{
		Rules: w.rules.set, Fleet: fleet, Query: w.warehouse.Scan, Series: w.warehouse.Series, Late: w.warehouse.Late, Raw: w.sql.answer, Emit: w.desk.Receive, States: w.tickets.States(),
		Health: true, MaxLag: w.config.Analyzer.MaxLag, Start: w.options.since, Log: w.log, Registry: w.metrics, Clock: time.Now,
	})
	return err
}

// openAPI makes the API over the parts there are.
func (w *watch) openAPI(context.Context) error {
	parts := api.Parts{
		Tenant: w.tenant, Desk: w.desk, Registry: w.tickets, Tokens: w.control, Feed: w.tickets, Audit: w.tickets, Notices: w.tickets, Tenants: w.watches, Backups: w.watches,
		Rate: api.RateLimit{PerSecond: w.config.API.Rate, Burst: w.config.API.Burst}, Live: api.LiveLimits{Streams: w.config.API.Streams},
		Rules: w.rules.list, LaterRules: w.laterRules, PutRule: w.rules.put, RuleHistory: w.rules.history, CheckRules: w.checkRules, Ready: w.process.ready,
		Metrics:    http.HandlerFunc(w.showMetrics),
		Registerer: w.metrics, Version: buildVersion(), Now: time.Now, Log: w.log,
	}
	if w.intake != nil {
		parts.Intake, parts.Dead, parts.DeadLetter, parts.RetryDead = w.takeIn, w.listDead, w.findDead, w.retryDead
	}
	if w.warehouse != nil {
		parts.Readings, parts.Backtest, parts.ExplainRules = w.readings, w.backtest, w.explain
	}
	if w.consumer != nil {
		parts.Ingest, parts.PauseIngest = w.ingestion, w.pauseIngest
	}
	w.addPage(&parts)
	w.signing(&parts)
	w.app = api.New(parts)
	w.handler = w.app.Handler()
	return nil
}

// takeIn is POST /api/v1/telemetry.
func (w *watch) takeIn(ctx context.Context, body []byte, at time.Time) (int, []api.BadLine, error) {
	records, bad, kept := ingest.Split(body, at)
	send := w.intake.Append
	if kept > len(records)/2 {
		send = w.intake.Backfill
	}
	if err := send(ctx, records); errors.Is(err, ingest.ErrBusy) {
		return 0, nil, fmt.Errorf("%w: %w", api.ErrBusy, err)
	} else if err != nil {
		return 0, nil, err
	}
	w.intake.Refused(bad)
	array := bytes.HasPrefix(bytes.TrimSpace(body), []byte{'['})
	lines := make([]api.BadLine, len(bad))
	for i, b := range bad {
		lines[i] = api.BadLine{Line: b.Line, Reason: b.Reason, Detail: b.Detail}
		if array {
			lines[i].Line = b.Index + 1
		}
	}
	return len(records), lines, nil
}

// behind is how many records wait for the warehouse, where that is known.
func (w *watch) behind() int64 {
	c := cmp.Or(w.consumer, w.arrived)
	if c == nil {
		return 0
	}
	s := c.Status()
	return s.Behind()
}

// readings is GET /api/v1/devices/{name}/readings.
func (w *watch) readings(ctx context.Context, q api.ReadingsQuery) ([]api.Reading, error) {
	rows, err := w.warehouse.Readings(ctx, q.Device, q.From, q.To, q.Step, q.Limit)
	if err != nil {
		return nil, err
	}
	out := make([]api.Reading, len(rows))
	for i, r := range rows {
		out[i] = api.Reading{TS: r.TS, In: int64(r.In), Out: int64(r.Out), Readings: int64(r.Readings)}
	}
	return out, nil
}

// ingestion is GET /api/v1/ingest.
func (w *watch) ingestion(ctx context.Context) (api.Ingest, error) {
	// A process that has just begun has not looked at the log yet.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = poll(ctx, 20*time.Millisecond, func() (bool, error) { return !w.consumer.Status().Checked.IsZero(), nil })
	s := w.consumer.Status()
	out := api.Ingest{Topic: s.Topic, Watermark: s.Watermark, Partitions: []api.Partition{}}
	for _, problem := range s.Problems {
		if problem.Partition < 0 {
			out.Error = problem.Error
			break
		}
	}
	for _, part := range s.Partitions {
		row := api.Partition{Partition: part.Partition, End: part.HighWatermark, Done: max(part.Committed, 0),
			LagRecords: part.LagRecords, LagSeconds: part.LagSeconds, Paused: !part.Paused.IsZero(), Since: part.Paused}
		for _, problem := range s.Problems {
			if problem.Partition == part.Partition {
				row.Error = problem.Step + ": " + problem.Error
			}
		}
		out.Partitions = append(out.Partitions, row)
	}
	return out, nil
}

// ready is GET /readyz: whether log, warehouse and tickets answer, those of every
// tenant.
func (p *process) ready(ctx context.Context) map[string]error {
	parts := map[string]error{"tickets": errors.Join(p.control.Ping(ctx), p.watches.broken())}
	for _, w := range p.watches.list() {
		for part, err := range w.ready(ctx) {
			if err != nil {
				err = fmt.Errorf("tenant %s: %w", w.tenant, err)
			}
			parts[part] = errors.Join(parts[part], err)
		}
	}
	return parts
}

// ready says of the tenant's parts whether they answer.
func (w *watch) ready(ctx context.Context) map[string]error {
	parts := map[string]error{"tickets": w.tickets.Ping(ctx)}
	if w.warehouse != nil {
		parts["warehouse"] = w.warehouse.Ping(ctx)
	}
	if w.consumer != nil {
		s := w.consumer.Status()
		parts["log"] = nil
		if !s.Connected {
			parts["log"] = errors.New("not connected yet")
		}
		for _, problem := range s.Problems {
			parts["log"] = fmt.Errorf("%s: %s, since %s", problem.Step, problem.Error, problem.Since.Format(time.RFC3339))
		}
	}
	return parts
}
