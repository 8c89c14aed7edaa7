package ingest

// The reasons for which an object or a record is refused: the label of
// belfry_ingest_rejected_total and the "reason" header of dead letters.
//
//	bad_json          not JSON, or not an object; also an array without its end, an empty record
//	bad_device        device missing, no string, empty, over 128 bytes, not UTF-8, with control characters
//	bad_ts            ts missing, or neither RFC 3339 nor epoch milliseconds
//	ts_too_old        ts before 2000-01-01T00:00:00Z
//	ts_too_new        ts more than 24 h after the record's arrival, or not before 2100
//	bad_kind          kind neither "count" nor "heartbeat"; a heartbeat with in or out
//	bad_in            in not a whole number from 0 to 4294967295; a count with neither in nor out
//	bad_out           out not a whole number from 0 to 4294967295
//	bad_interval      interval of a count not a whole number from 1 to 4294967295
//	bad_member        fw or a measurement of a heartbeat: too long, too many, not UTF-8, not finite
//	too_deep          nested deeper than MaxDepth
//	record_too_large  the record is larger than the consumer's MaxRecordBytes
//	bad_arrow         the record says that it is an Arrow IPC stream, and is not, or lacks a column
//	bad_batch         a batch of the log whose checksum or compression is broken
const (
	BadJSON        = "bad_json"
	BadDevice      = "bad_device"
	BadTS          = "bad_ts"
	TSTooOld       = "ts_too_old"
	TSTooNew       = "ts_too_new"
	BadKind        = "bad_kind"
	BadIn          = "bad_in"
	BadOut         = "bad_out"
	BadInterval    = "bad_interval"
	BadMember      = "bad_member"
	TooDeep        = "too_deep"
	RecordTooLarge = "record_too_large"
	BadArrow       = "bad_arrow"
	BadBatch       = "bad_batch"
)

// Reasons are all the reasons, in the order of the table above.
var Reasons = []string{
	BadJSON, BadDevice, BadTS, TSTooOld, TSTooNew, BadKind, BadIn, BadOut,
	BadInterval, BadMember, TooDeep, RecordTooLarge, BadArrow, BadBatch,
}

// Reject is an object that was refused, or a whole record when it could not be
// split into objects.
type Reject struct {
	Reason    string // one of Reasons
	Detail    string // what is wrong and what is wanted, for a person
	Raw       []byte // the bytes of the object; it aliases the record that was decoded
	Key       []byte // the record's key, when it came from the log; it aliases the fetch buffer
	Partition int    // of the log
	Offset    int64  // of the record
	Index     int    // which object of the record, from 0
	Arrival   int64  // timestamp of the record, milliseconds since 1970
	At        int    // where Raw begins in the record, in bytes
	Type      string // content type of Raw when it is no JSON
}
