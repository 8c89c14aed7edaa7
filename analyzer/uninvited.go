package analyzer

import "belfry/telemetry"

// finishUninvited turns last arrivals into how long devices have been heard that the
// registry does not expect: from when one was retired, or registered itself, to when it
// was last heard.
func (p *pass) finishUninvited(value []float64) {
	for row, last := range value {
		value[row] = 0
		d := &p.fleet.Devices[row]
		from := missing
		switch {
		case !d.RetiredAt.IsZero() && d.RetiredAt.Before(p.at):
			from = float64(d.RetiredAt.UnixMilli()) / 1e3
		case d.Site == telemetry.Unassigned:
			from = p.fleet.since(row)
		}
		if last > from {
			value[row] = last - from
		}
	}
}
