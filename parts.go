package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"belfry/analyzer"
	"belfry/api"
	"belfry/ingest"
	"belfry/ingest/broker"
)

// openLog starts the broker inside the process, unless the configuration names
// brokers, and the way in for readings.
func (p *process) openLog(ctx context.Context) (err error) {
	if p.warehouseless() {
		return nil
	}
	if len(p.config.Log.Brokers) == 0 {
		address := p.config.Log.Listen
		if p.options.private {
			address = "127.0.0.1:0"
		}
		p.broker, err = broker.Start(broker.Options{Dir: p.folder.file("log"), Addr: address, Sync: p.config.Log.Sync, Log: p.log})
		if err != nil {
			return fmt.Errorf("start the log: %w; choose another address with the configuration key log.listen", err)
		}
		p.closeLater(p.broker.Close)
		if err := ingest.EnsureTopic(ctx, p.connection(), logTopic(p.config.Log)); err != nil {
			return err
		}
	}
	p.intake, err = ingest.NewIntake(ingest.IntakeOptions{Connection: p.connection(), Topic: p.config.Log.Topic,
		Now: time.Now, Log: p.log, Registerer: p.metrics})
	if err != nil {
		return err
	}
	p.closeLater(p.intake.Close)
	p.dead, err = ingest.NewDeadLetters(ingest.DeadOptions{Connection: p.connection(), Topic: logTopic(p.config.Log),
		Intake: p.intake, Now: time.Now, Log: p.log})
	if err != nil {
		return err
	}
	p.closeLater(p.dead.Close)
	return nil
}

// warehouseless reports whether the process only asks about sites, devices and
// tokens, for which neither the log nor the engine need start.
func (p *process) warehouseless() bool {
	return p.options.private && len(p.config.Roles) == 1
}

// connection returns the way to the log.
func (p *process) connection() ingest.Connection {
	c := logConnection(p.config.Log)
	if p.broker != nil {
		c.Brokers = []string{p.broker.Addr()}
	}
	return c
}

func logConnection(c LogConfig) ingest.Connection {
	return ingest.Connection{
		Brokers: c.Brokers,
		TLS:     ingest.TLS{Enabled: c.TLS.Enabled, CA: c.TLS.CA, Certificate: c.TLS.Cert, Key: c.TLS.Key},
		SASL:    ingest.SASL{Mechanism: c.SASL.Mechanism, User: c.SASL.User, Password: ingest.Secret(c.SASL.Password)},
	}
}

func logTopic(c LogConfig) ingest.Topic {
	return ingest.Topic{Name: c.Topic, Partitions: c.Partitions, Create: true}
}

// openIngest makes the consumer that carries the log into the warehouse.
func (p *process) openIngest(context.Context) (err error) {
	if p.warehouseless() || !p.has("ingest") {
		return nil
	}
	p.consumer, err = ingest.NewConsumer(ingest.Options{
		Connection: p.connection(), Topic: logTopic(p.config.Log),
		MaxReadings: p.config.Ingest.BatchReadings, MaxDelay: p.config.Ingest.BatchWait,
		Sink: p.warehouse.Insert, Register: p.register, Now: time.Now, Log: p.log, Registerer: p.metrics,
	})
	return err
}

// register notes devices that were heard of for the first time.
func (p *process) register(ctx context.Context, devices []ingest.NewDevice) error {
	names, arrivals := make([]string, len(devices)), make([]time.Time, len(devices))
	for i, d := range devices {
		names[i], arrivals[i] = d.Name, d.FirstArrival
	}
	added, err := p.tickets.RegisterDevices(ctx, names, arrivals)
	if added > 0 {
		p.log.Info("devices registered themselves", "devices", added)
	}
	return err
}

// openAnalyzer loads the rules, and makes the analyzer where there is a consumer
// to say how far the readings are.
func (p *process) openAnalyzer(ctx context.Context) error {
	if err := p.openRules(); err != nil {
		return err
	}
	if p.warehouse == nil {
		return nil
	}
	p.fleet = &fleetKeeper{registry: p.tickets, warehouse: p.warehouse, log: p.log}
	if !p.has("analyzer") || p.consumer == nil {
		return nil
	}
	fleet, _, err := p.fleet.fleet(ctx)
	if err != nil {
		return err
	}
	p.analyzer, err = analyzer.New(ctx, analyzer.Config{
		Rules: p.rules, Fleet: fleet, Query: p.warehouse.Scan, Series: p.warehouse.Series, Emit: p.desk.Receive, States: p.tickets.States(),
		MaxLag: p.config.Analyzer.MaxLag, Start: p.options.since, Log: p.log, Registry: p.metrics, Clock: time.Now,
	})
	return err
}

// openAPI makes the API over the parts there are, opens its listener and says
// in the lock file where it is.
func (p *process) openAPI(ctx context.Context) (err error) {
	parts := api.Parts{
		Tenant: tenant, Desk: p.desk, Registry: p.tickets, Tokens: p.control, Feed: p.tickets, Audit: p.tickets, Notices: p.tickets,
		Rate: api.RateLimit{PerSecond: p.config.API.Rate, Burst: p.config.API.Burst}, Live: api.LiveLimits{Streams: p.config.API.Streams},
		Rules: p.listRules, CheckRules: p.checkRules, Ready: p.ready,
		Metrics:    promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}),
		Registerer: p.metrics, Version: buildVersion(), Now: time.Now, Log: p.log,
	}
	if p.intake != nil {
		parts.Intake, parts.Dead, parts.DeadLetter, parts.RetryDead = p.takeIn, p.listDead, p.findDead, p.retryDead
	}
	if p.warehouse != nil {
		parts.Readings, parts.Backtest = p.readings, p.backtest
	}
	if p.consumer != nil {
		parts.Ingest = p.ingestion
	}
	p.app = api.New(parts)
	if p.listener, err = p.listen(ctx); err != nil {
		return err
	}
	return p.folder.announce(holder{API: p.url(), Door: p.doorURL(), Brokers: p.connection().Brokers, Topic: p.config.Log.Topic})
}

// takeIn is POST /api/v1/telemetry.
func (p *process) takeIn(ctx context.Context, body []byte, at time.Time) (int, []api.BadLine, error) {
	records, bad := ingest.Split(body, at)
	if err := p.intake.Append(ctx, records); errors.Is(err, ingest.ErrBusy) {
		return 0, nil, fmt.Errorf("%w: %w", api.ErrBusy, err)
	} else if err != nil {
		return 0, nil, err
	}
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

// readings is GET /api/v1/devices/{name}/readings.
func (p *process) readings(ctx context.Context, q api.ReadingsQuery) ([]api.Reading, error) {
	rows, err := p.warehouse.Readings(ctx, q.Device, q.From, q.To, q.Step, q.Limit)
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
func (p *process) ingestion(ctx context.Context) (api.Ingest, error) {
	// A process that has just begun has not looked at the log yet.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = poll(ctx, 20*time.Millisecond, func() (bool, error) { return !p.consumer.Status().Checked.IsZero(), nil })
	s := p.consumer.Status()
	out := api.Ingest{Topic: s.Topic, Watermark: s.Watermark}
	for _, part := range s.Partitions {
		row := api.Partition{Partition: part.Partition, End: part.HighWatermark, Done: max(part.Committed, 0),
			LagRecords: part.LagRecords, LagSeconds: part.LagSeconds}
		for _, problem := range s.Problems {
			if problem.Partition == part.Partition {
				row.Error = problem.Step + ": " + problem.Error
			}
		}
		out.Partitions = append(out.Partitions, row)
	}
	return out, nil
}

// ready is GET /readyz: whether log, warehouse and tickets answer.
func (p *process) ready(ctx context.Context) map[string]error {
	parts := map[string]error{"tickets": errors.Join(p.tickets.Ping(ctx), p.control.Ping(ctx))}
	if p.warehouse != nil {
		parts["warehouse"] = p.warehouse.Ping(ctx)
	}
	if p.consumer != nil {
		s := p.consumer.Status()
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
