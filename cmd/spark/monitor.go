package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/sysmon"
)

type monitorCmd struct {
	Path     string        `default:"." type:"path" help:"A directory on the disk to watch; the disk is derived from it."`
	Device   string        `help:"Disk to watch instead, such as nvme0n1."`
	Duration time.Duration `help:"Stop after this long; default: at Ctrl-C, or 60s for --check."`
	Interval time.Duration `default:"100ms" help:"Pace of the record."`
	Check    bool          `help:"Compare the sampler second by second with iostat, vmstat and mpstat, under a load of its own."`
	JSON     bool          `help:"Print the report of --check as JSON."`
	Out      string        `arg:"" optional:"" type:"path" help:"CSV file to write, compressed when it ends in .zst; required without --check."`
}

// Help teaches by examples.
func (monitorCmd) Help() string {
	return `It records what a run records: the disk's reads, writes and waits, CPU, memory, paging and pressure, ten times a second from the kernel's own files, with the raw counters beside what is derived from them. The disk is the one below --path. It takes less than half a percent of one CPU.

Examples:

    spark monitor telemetry.csv.zst                      # the disk here, until Ctrl-C
    spark monitor --device nvme0n1 --duration 5m load.csv
    spark monitor --check --duration 60s                 # does it agree with iostat, vmstat and mpstat?

The check loads the disk below --path while it compares, and exits with 1 where they disagree.`
}

// Run records telemetry, or checks it.
func (c monitorCmd) Run(ctx context.Context, s streams) error {
	if c.Device == "" {
		d, err := sysmon.DeviceOf(c.Path, "", "")
		if err != nil {
			return err
		}
		c.Device = d.Name
	}
	if c.Check {
		return c.check(ctx, s)
	}
	if c.Out == "" {
		return exitError{2, errors.New("name the file to write, such as telemetry.csv.zst")}
	}
	return c.record(ctx, s)
}

func (c monitorCmd) record(ctx context.Context, s streams) error {
	m, err := sysmon.New(sysmon.Config{Interval: c.Interval, Device: c.Device, Epoch: clock.New().Now()})
	if err != nil {
		return err
	}
	w, err := sysmon.NewWriter(c.Out, m.Meta())
	if err != nil {
		return errors.Join(err, m.Close())
	}
	if c.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Duration)
		defer cancel()
	}
	rows := 0
	fmt.Fprintf(s.err, "recording %s every %v; Ctrl-C ends\n", c.Device, c.Interval)
	err = m.Run(ctx, func(r sysmon.Row) error { rows++; return w.Write(r) })
	fmt.Fprintf(s.err, "%d rows in %s\n", rows, c.Out)
	return errors.Join(err, w.Close(), m.Close())
}

func (c monitorCmd) check(ctx context.Context, s streams) error {
	fmt.Fprintf(s.err, "comparing with iostat, vmstat and mpstat on %s\n", c.Device)
	report, err := sysmon.Check(ctx, sysmon.CheckConfig{
		Device: c.Device, Duration: c.Duration, // Enough of every kind of event for its rate to be compared to 2 %.
		Load: &sysmon.CheckLoad{Dir: c.Path, Readers: 16, Writers: 4, Busy: 1},
	})
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(report), report.Err())
	}
	fmt.Fprint(s.out, report.Text())
	return report.Err()
}
