package sysmon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/sysmon"
)

// Record a third of a second of this machine, then ask what a window held.
func Example() {
	dir, err := os.MkdirTemp("", "sysmon")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	// The disk that the path's I/O reaches; empty columns where there is none.
	dev, err := sysmon.DeviceOf(dir, "", "")
	if err != nil {
		dev = sysmon.Device{}
	}
	s, err := sysmon.New(sysmon.Config{
		Interval: 50 * time.Millisecond,
		Device:   dev.Name,
		Epoch:    clock.New().Now(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	w, err := sysmon.NewWriter(filepath.Join(dir, "telemetry.csv.zst"), s.Meta())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx, w.Write); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	tab, err := sysmon.ReadTable(filepath.Join(dir, "telemetry.csv.zst"))
	if err != nil {
		fmt.Println(err)
		return
	}
	from, to := tab.T[0], tab.T[len(tab.T)-1]
	switches, ok := tab.Delta("raw_ctxt", from, to)
	fmt.Println("switched tasks:", ok && switches > 0)
	_, ok = tab.Column("gpu_power_W")
	fmt.Println("GPU power:", ok, "because", tab.Meta.Missing["gpu_power_W"])
	// Output:
	// switched tasks: true
	// GPU power: false because no GPU source in this version
}
