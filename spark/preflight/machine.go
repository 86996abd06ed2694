package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/buildtags"
	"github.com/spark-harness/harness/spark"
)

func platform(_ context.Context, h *host) Finding {
	m := h.machine
	said := fmt.Sprintf("%s, %s %d CPUs, kernel %s", orUnknown(m.Product), m.GOARCH, m.CPUs, orUnknown(m.Kernel))
	if m.GB10 {
		return passed(said + "; GB10 by its " + m.GB10By)
	}
	for _, sign := range []string{m.Virtual, m.Confined} {
		if sign != "" {
			said += "; " + sign
		}
	}
	return warned(said, "no DGX Spark: what is found holds for this machine, and every artefact names it")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func build(context.Context, *host) Finding {
	b := spark.ReadBuild()
	said := fmt.Sprintf("%s %s", orUnknown(b.Version), b.Go)
	if buildtags.Race || b.Race || b.Cover {
		return failed(said+", with the race detector or coverage", "build without -race and -cover: their timings are worth nothing")
	}
	return passed(said)
}

func privileges(_ context.Context, h *host) Finding {
	if h.root {
		return passed("root")
	}
	return warned(fmt.Sprintf("user %d", os.Geteuid()),
		"without root nobody drops the page cache (H1 and H5 need it), limits a server's reads (H4's second lever), or reads the disk's log; run with sudo -E for these")
}

func lock(_ context.Context, h *host) Finding {
	l, err := spark.AcquireLock(h.Lock)
	if err != nil {
		return failed(err.Error(), "two measurements disturb each other: wait for it to end")
	}
	if err := l.Release(); err != nil {
		return warned(err.Error(), "look after the file "+h.Lock)
	}
	return passed("none (" + h.Lock + " is free)")
}

// Below this no server fits beside a measurement, and a watchdog of the machine
// would end it.
const (
	memoryLeast  = 2 << 30
	memoryEnough = 8 << 30
)

func memory(_ context.Context, h *host) Finding {
	free, err := meminfo(h.ProcRoot, "MemAvailable")
	if err != nil || h.machine.MemTotal == nil {
		return warned("meminfo cannot be read", "mount /proc")
	}
	said := fmt.Sprintf("%s available of %s", size(free), size(*h.machine.MemTotal))
	switch {
	case free < memoryLeast:
		return failed(said, "the emulator alone takes 1 to 2 GiB: end something")
	case free < memoryEnough:
		return warned(said, "enough for the emulator; a real server pages below 8 GiB whatever it is asked (end something, or drop caches)")
	}
	return passed(said)
}

// meminfo is a line of /proc/meminfo, in bytes.
func meminfo(proc, key string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(proc, "meminfo"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key+":" {
			kb, err := strconv.ParseInt(f[1], 10, 53)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("meminfo has no %s", key)
}

// swapUsed is more than what the kernel puts away of idle programs.
const swapUsed = 256 << 20

func swap(_ context.Context, h *host) Finding {
	total := h.machine.SwapTotal
	switch free, err := meminfo(h.ProcRoot, "SwapFree"); {
	case total == nil || err != nil:
		return warned("meminfo cannot be read", "mount /proc")
	case *total == 0:
		return passed("none: what does not fit is refused or killed, never paged out")
	case *total-free > swapUsed:
		return warned(fmt.Sprintf("%s of %s in use", size(*total-free), size(*total)), "memory was short already: swapoff -a && swapon -a, or a run begins with pages on the disk")
	default:
		said := size(*total) + ", hardly used"
		if s := h.machine.Swappiness; s != nil {
			said += fmt.Sprintf(", swappiness %d", *s)
		}
		return passed(said)
	}
}

func clockSource(_ context.Context, h *host) Finding {
	name, err := oneLine(h.SysRoot, "devices/system/clocksource/clocksource0/current_clocksource")
	switch {
	case err != nil:
		return warned("the kernel does not tell", "mount /sys")
	case slices.Contains([]string{"hpet", "acpi_pm", "jiffies", "refined-jiffies"}, name):
		return warned(name, "reading this clock takes microseconds and loads the CPU: boot with clocksource=tsc, or find out in dmesg why the kernel gave it up")
	}
	return passed(name)
}

func oneLine(elem ...string) (string, error) {
	b, err := os.ReadFile(filepath.Join(elem...))
	return strings.TrimSpace(string(b)), err
}

// timerCoarse is the resolution of a kernel without high-resolution timers.
const timerCoarse = time.Millisecond

// timer asks how fine the clock is, and how late a sleep of 1 ms really ends.
func timer(ctx context.Context, _ *host) Finding {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC, &res); err != nil {
		return warned(err.Error(), "sleeps may end late: look at lateness in every run's telemetry")
	}
	var late []time.Duration
	for range 30 {
		start := time.Now()
		_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(time.Millisecond)}, nil)
		late = append(late, time.Since(start)-time.Millisecond)
		if ctx.Err() != nil {
			break
		}
	}
	slices.Sort(late)
	median, worst := late[len(late)/2], late[len(late)-1]
	said := fmt.Sprintf("resolution %v; a sleep of 1ms ends %v late (median), %v at worst", time.Duration(res.Nano()), median.Round(time.Microsecond), worst.Round(10*time.Microsecond))
	switch {
	case time.Duration(res.Nano()) >= timerCoarse:
		return warned(said, "arrivals are only as exact: use a kernel with high-resolution timers")
	case median > timerCoarse:
		return warned(said, "arrivals are sent as late: the CPU is busy, or asleep too deeply")
	}
	return passed(said)
}

func governor(_ context.Context, h *host) Finding {
	g := h.machine.Governors
	switch {
	case len(g) == 0:
		return warned("none: "+orUnknown(h.machine.Absent["governors"]), "the hypervisor or firmware sets the clock: compare only runs of one machine")
	case len(g) == 1 && g[0] == "performance":
		return passed("performance")
	}
	return warned(strings.Join(g, ", "), "clocks follow the load: cpupower frequency-set -g performance keeps them")
}

// filesEnough is a connection each for the plan's 256 users, and spare.
const filesEnough = 1024

func openFiles(context.Context, *host) Finding {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return warned(err.Error(), "a load may run out of connections")
	}
	said := fmt.Sprintf("%d at once", lim.Cur)
	if lim.Cur < filesEnough {
		return failed(said, fmt.Sprintf("the plan asks for 256 connections at once: ulimit -n %d", filesEnough))
	}
	return passed(said)
}

func pressure(ctx context.Context, h *host) Finding {
	if _, err := oneLine(h.ProcRoot, "pressure/io"); err != nil {
		remedy := "boot with psi=1; without it nobody tells how much was waited for memory and disk"
		if errors.Is(err, os.ErrPermission) {
			remedy = "run as root, or let this user read /proc/pressure"
		}
		return warned("cannot be read: "+err.Error(), remedy)
	}
	s := h.sample(ctx)
	if s.err != nil {
		return warned("readable; its idle level is not known", s.err.Error())
	}
	return passed(fmt.Sprintf("readable; right now io %.1f %%, memory %.1f %%, cpu %.1f %% of the time (some)", s.psiIO, s.psiMem, s.psiCPU))
}

// size is bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
