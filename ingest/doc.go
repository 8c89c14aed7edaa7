// Package ingest brings telemetry from the log to the warehouse, and from the
// outside into the log.
//
// Three pieces, which know nothing of each other's insides: the Decoder turns
// the bytes of one record into columns (pure, no I/O, no clock); the log reader
// (fetch.go, records.go) turns a partition into records; the Consumer holds a
// group membership, fills batches, hands them to a Sink and commits what the
// Sink took. The way in is the Intake, which writes readings to the log and
// returns when the log has them.
//
// What the package promises: a record's readings are in the warehouse, or it is
// in the dead-letter topic with its reason, before its offset is committed. A
// record may be handed to the Sink more than once, always with the same device,
// time, arrival and offset, so that it collapses there. One bad object never
// costs its neighbours.
//
// The package knows nothing of ClickHouse, HTTP or tenants.
package ingest
