package telemetry

// Totals are what cumulative counters of a batch showed, as columns of equal
// length: device Device[i] had counted In[i] and Out[i] people by TS[i], since
// it began or since it last went over its modulus.
type Totals struct {
	Device  []DeviceID
	TS      []int64 // when the counters were read, milliseconds since 1970 UTC
	Arrival []int64 // timestamp of the record in the log, milliseconds since 1970 UTC
	Offset  []int64 // position of the record in its partition
	In, Out []int64 // people; NoTotal when the device has no such counter
	Modulus []int64 // the counters go from Modulus-1 to 0; 0 when the device does not say
}

// NoTotal stands for a counter that a reading does not have.
const NoTotal = -1

// Len returns the number of rows.
func (t *Totals) Len() int { return len(t.Device) }

// Reset empties the columns and keeps their memory.
func (t *Totals) Reset() {
	t.Device, t.TS, t.Arrival, t.Offset = t.Device[:0], t.TS[:0], t.Arrival[:0], t.Offset[:0]
	t.In, t.Out, t.Modulus = t.In[:0], t.Out[:0], t.Modulus[:0]
}

func (t *Totals) append(o *Totals) {
	t.Device, t.TS, t.Arrival, t.Offset = append(t.Device, o.Device...), append(t.TS, o.TS...), append(t.Arrival, o.Arrival...), append(t.Offset, o.Offset...)
	t.In, t.Out, t.Modulus = append(t.In, o.In...), append(t.Out, o.Out...), append(t.Modulus, o.Modulus...)
}
