// Package analyzer decides, from readings, what needs attention.
//
// In come rule files (see Load), a snapshot of the registry (Fleet), an instant
// and a Query over the readings; out go findings: the condition of a rule for a
// device, a site, a group or the tenant changed. Rules are compiled together.
// The signals that they need become as few Scans as possible, each scan comes
// back as Arrow columns which are laid out in the registry's order, expressions
// run column by column over blocks of float64 (NaN is a missing value, and
// conditions are three-valued), and only scopes whose state changed leave the
// columns.
//
// Promises: the same rules over the same readings as of the same instant give
// the same findings, live and in a backtest; no data never resolves a
// condition; a scan that fails changes no state; findings are emitted before
// the states that they come from are saved, so a crash repeats a finding and
// never loses one.
//
// The package never reads the clock and knows nothing of ClickHouse, SQL, Kafka,
// incidents or HTTP. What it needs from outside it declares: Query, States, Emit.
package analyzer
