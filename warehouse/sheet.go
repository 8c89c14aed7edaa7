package warehouse

import (
	"math"
	"runtime"
	"slices"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"
)

// sheet is the bins of a series, those of a device side by side, 6 bytes each.
type sheet struct {
	bins   int // of each device
	device []uint64
	places map[uint64]int // of a device's first bin, by device

	in, out, rows []uint16        // rows: readings; inSheetsGreat: the bin is in great
	great         map[int]binSums // by place: what does not fit

	last      uint64 // the device that was looked for last
	lastPlace int    // -1: none was
}

const inSheetsGreat = math.MaxUint16

func newSheet(bins int) *sheet {
	return &sheet{bins: bins, places: map[uint64]int{}, great: map[int]binSums{}, lastPlace: -1}
}

// place returns where the bins of a device begin; they are empty when it is new.
func (s *sheet) place(device uint64) int {
	if s.lastPlace >= 0 && s.last == device {
		return s.lastPlace
	}
	at, found := s.places[device]
	if !found {
		at = len(s.in)
		s.places[device], s.device = at, append(s.device, device)
		for _, column := range []*[]uint16{&s.in, &s.out, &s.rows} {
			*column = slices.Grow(*column, s.bins)[:at+s.bins]
			clear((*column)[at:])
		}
	}
	s.last, s.lastPlace = device, at
	return at
}

func (s *sheet) at(place int) binSums {
	if s.rows[place] == inSheetsGreat {
		return s.great[place]
	}
	return binSums{float64(s.in[place]), float64(s.out[place]), float64(s.rows[place])}
}

func (s *sheet) set(place int, b binSums) {
	if b.in <= math.MaxUint16 && b.out <= math.MaxUint16 && b.rows < inSheetsGreat {
		s.in[place], s.out[place], s.rows[place] = uint16(b.in), uint16(b.out), uint16(b.rows)
		return
	}
	s.rows[place], s.great[place] = inSheetsGreat, b
}

// lay moves bins of a reading of the engine into the sheet, the first of them into one of
// its bins.
func (s *sheet) lay(b *binning, first int) {
	at := 0
	for _, run := range b.runs {
		begin := s.place(run.device) + first
		for ; at < run.end; at++ {
			bin := b.bins[at]
			place := begin + int(bin.bin)
			was := s.at(place)
			s.set(place, binSums{was.in + bin.in, was.out + bin.out, was.rows + bin.rows})
		}
	}
	b.runs, b.bins = b.runs[:0], b.bins[:0]
}

// ordered returns the devices, ascending.
func (s *sheet) ordered() []uint64 {
	slices.Sort(s.device)
	return s.device
}

// record makes the answer to the series.
func (s *sheet) record() arrow.Record {
	device, parts := s.ordered(), runtime.GOMAXPROCS(0)
	begins := make([]int, parts+1) // of their rows in the record
	some := func(part int) []uint64 { return device[len(device)*part/parts : len(device)*(part+1)/parts] }
	for part := range parts {
		begins[part+1] = begins[part] + s.filled(some(part))
	}
	n := begins[parts]
	r := seriesColumns{make([]uint64, n), make([]uint32, n), make([]float64, n), make([]float64, n), make([]float64, n)}
	var group errgroup.Group
	for part := range parts {
		group.Go(func() error { s.fill(r, begins[part], some(part)); return nil })
	}
	_ = group.Wait() // none of them fails
	return r.record()
}

// filled counts the bins with readings of some devices.
func (s *sheet) filled(devices []uint64) (n int) {
	for _, d := range devices {
		at := s.places[d]
		for _, rows := range s.rows[at : at+s.bins] {
			if rows > 0 {
				n++
			}
		}
	}
	return n
}

// fill writes the bins of some devices into columns, from a place on.
func (s *sheet) fill(r seriesColumns, at int, devices []uint64) {
	for _, d := range devices {
		begin := s.places[d]
		for bin := range s.bins {
			place := begin + bin
			switch s.rows[place] {
			case 0:
				continue
			case inSheetsGreat:
				b := s.great[place]
				r.in[at], r.out[at], r.rows[at] = b.in, b.out, b.rows
			default:
				r.in[at], r.out[at], r.rows[at] = float64(s.in[place]), float64(s.out[place]), float64(s.rows[place])
			}
			r.device[at], r.bin[at] = d, uint32(bin)
			at++
		}
	}
}

// packed shows bins as they are packed in raw_days.
func packed(bins []uint16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(bins))), 2*len(bins))
}
