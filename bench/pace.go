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
	return paceFrom(readings, func(func(int)) error { return do() }, others...)
}

// paceFrom is pace for what takes time to begin: do may call begin once, with how
// many readings were handled before, and only what comes after is measured.
func paceFrom(readings int, do func(begin func(before int)) error, others ...int) (Pace, error) {
	memory := watchMemory(others...)
	cpu, at := cpuTime(others...), time.Now()
	err := do(func(before int) { readings, cpu, at = readings-before, cpuTime(others...), time.Now() })
	wall, cpu := time.Since(at), cpuTime(others...)-cpu
	peak := memory()
	if err != nil {
		return Pace{}, err
	}
	n := float64(readings)
	return Pace{PerSecond: n / wall.Seconds(), CPUNanos: float64(cpu.Nanoseconds()) / n, WallMillis: float64(wall.Microseconds()) / 1000, Memory: peak}, nil
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
