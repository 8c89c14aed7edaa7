package recording

// join takes the row of one flow. It holds a reading back until a row comes that
// can't be its other flow.
func (r *Reader) join(d *draft) {
	switch h := r.held; {
	case d.dir == left:
		r.ignored.Add(1)
	case d.dir == unnamed:
		r.flush()
		r.queue = append(r.queue, r.row(d))
	case h != nil && h.device == d.device && h.ts == d.ts && d.ts != "" && h.take(d):
		h.line = d.line
	default:
		r.flush()
		r.held = d
	}
}

// take adds the flow of another row to the draft, unless it has that flow.
func (d *draft) take(other *draft) bool {
	switch {
	case other.dir == flowIn && !d.in.there:
		d.in = other.in
	case other.dir == flowOut && !d.out.there:
		d.out = other.out
	default:
		return false
	}
	return true
}

// flush queues the reading that is held, if any.
func (r *Reader) flush() bool {
	d := r.held
	if d == nil {
		return false
	}
	r.held = nil
	// Where the file knows both directions, the one that is not there is
	// missing, not zero.
	if r.mapped.both {
		d.in.there, d.out.there = true, true
	}
	r.queue = append(r.queue, r.row(d))
	return true
}
