package bench

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Pace is how fast readings went.
type Pace struct {
	PerSecond  float64 `json:"readings_per_second"`
	CPUNanos   float64 `json:"cpu_ns_per_reading"` // of the whole process, the embedded log included
	WallMillis float64 `json:"wall_ms"`
	Memory     int64   `json:"resident_bytes"` // the most that the process had, with all that it keeps from before
}

// pace measures one way of handling readings. What processes with other ids use
// counts too.
func pace(readings int, do func() error, others ...int) (Pace, error) {
	return paceOf(readings, func(*lap) error { return do() }, others...)
}

// lap is what is measured of handling readings: all of it, unless it is told when to
// begin and to end, with how many readings were handled until then.
type lap struct {
	others []int
	before int
	began  time.Duration // of the processors
	at     time.Time
	pace   Pace
}

func (l *lap) begin(before int) {
	l.before, l.began, l.at, l.pace = before, cpuTime(l.others...), time.Now(), Pace{}
}

func (l *lap) end(after int) {
	wall, used := time.Since(l.at), cpuTime(l.others...)-l.began
	n := float64(after - l.before)
	l.pace = Pace{PerSecond: n / wall.Seconds(), CPUNanos: float64(used.Nanoseconds()) / n, WallMillis: float64(wall.Microseconds()) / 1000}
}

// paceOf is pace for what has more to do than what is measured.
func paceOf(readings int, do func(*lap) error, others ...int) (Pace, error) {
	memory := watchMemory(others...)
	l := &lap{others: others}
	l.begin(0)
	err := do(l)
	if l.pace == (Pace{}) {
		l.end(readings)
	}
	l.pace.Memory = memory()
	if err != nil {
		return Pace{}, err
	}
	return l.pace, nil
}

// then is the pace of doing both to each reading, one after the other.
func (p Pace) then(q Pace) *Pace {
	return &Pace{PerSecond: 1 / (1/p.PerSecond + 1/q.PerSecond), CPUNanos: p.CPUNanos + q.CPUNanos, WallMillis: p.WallMillis + q.WallMillis, Memory: max(p.Memory, q.Memory)}
}

// cpuTime is what this process, and those with the ids, have used on all their
// threads.
func cpuTime(others ...int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	sum := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range others {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		_, text, _ = bytes.Cut(text, []byte(") ")) // behind the name, which may hold anything
		if f := strings.Fields(string(text)); len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			sum += time.Duration(user+system) * time.Second / 100 // the kernel shows hundredths
		}
	}
	return sum
}

func median(p []Pace) Pace {
	slices.SortFunc(p, func(a, b Pace) int { return cmp.Compare(b.PerSecond, a.PerSecond) })
	return p[len(p)/2]
}

// watchMemory samples what the processes have resident until it is told to stop,
// and then returns the most it saw.
func watchMemory(others ...int) (stop func() int64) {
	done, most := make(chan struct{}), make(chan int64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		all := func() int64 {
			sum := resident("self")
			for _, pid := range others {
				sum += resident(strconv.Itoa(pid))
			}
			return sum
		}
		peak := all()
		for {
			select {
			case <-done:
				most <- max(peak, all())
				return
			case <-tick.C:
				peak = max(peak, all())
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

// resident returns a process's resident memory; 0 where that can't be told.
func resident(pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
