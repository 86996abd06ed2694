package loadgen

import (
	"runtime"
	"testing"
	"time"
)

// BenchmarkAlarm measures how late the ways to wait for an instant wake:
//
//	go test -run '^$' -bench Alarm -benchtime 1000x ./loadgen
func BenchmarkAlarm(b *testing.B) {
	clk := newKernelClock()
	timerfd, err := newTimerfdAlarm()
	if err != nil {
		b.Fatal(err)
	}
	defer timerfd.stop()
	timers := newGoAlarm(clk.Now)
	defer timers.stop()
	for _, way := range []struct {
		name  string
		sleep func(at time.Duration)
	}{
		{"timerfd", func(at time.Duration) { timerfd.set(at); timerfd.wait() }},
		{"nanosleep", sleepUntil},
		{"time.Timer", func(at time.Duration) { timers.set(at); timers.wait() }},
	} {
		b.Run(way.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var late []time.Duration
			for i := 0; b.Loop(); i++ {
				at := clk.Now() + time.Duration(1000+i%7*313)*time.Microsecond
				way.sleep(at)
				late = append(late, clk.Now()-at)
			}
			b.ReportMetric(rank(late, 0.5), "late-p50-ms")
			b.ReportMetric(rank(late, 0.99), "late-p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
