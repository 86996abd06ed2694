package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses"
)

type fioCalibrateCmd struct {
	fioPlace  `embed:""`
	fioBinary `embed:""`
	Size      size   `default:"2GiB" help:"Size of the file: several times what the disk caches."`
	Full      bool   `help:"Longer windows, and quarters of the maximum as levels: about seven minutes."`
	Device    string `help:"Disk to watch, such as nvme0n1; default: the one under DIR."`
	Out       string `type:"path" help:"Save the calibration to this file; H4 looks in results/fio-calibration.json."`
	JSON      bool   `help:"Print the calibration as JSON."`
}

// Help teaches by examples.
func (fioCalibrateCmd) Help() string {
	return `Random reads at many depths find where the disk does no more (the plateau), and saturate it. Then each level of contention gets the job that brings it about, and a probe beside it, a single small reader, tells what the level does to somebody else. It takes about 50 s and finds MODERATE (40 % of what the saturated disk does) and HEAVY (all of it); --full takes about seven minutes and finds LOAD25, LOAD50, LOAD75 and HEAVY. Nobody else may use the disk meanwhile. It reads only, after it has made its two files; they stay for the next time.

H4 calibrates by itself. It takes a calibration over that is at most a day old, of the same disk, fio, block and size of file: 2GiB in its quick profile, 32GiB with --full in its full one.

Examples:

    spark fio calibrate /var/lib/kv
    spark fio calibrate .spark --out results/fio-calibration.json
    spark fio calibrate .spark --full --size 32GiB --out results/fio-calibration.json
    spark fio calibrate /mnt/data --block 4KiB --json | jq .max.iops

Ctrl-C ends fio at once and leaves nothing but the two files.`
}

// Run calibrates the disk and prints what it found.
func (c fioCalibrateCmd) Run(ctx context.Context, s streams) (err error) {
	plan := fioctl.QuickPlan()
	if c.Full {
		plan = fioctl.FullPlan()
		plan.Backstop = 3 * time.Hour // an arm of H4 may take two, and a drain
	}
	plan.BlockBytes = int64(c.Block)
	// Levels must be told apart, and a disk that wakes up for each read may be
	// slower than one that is busy. The idle probe is measured all the same.
	plan.Goals = slices.DeleteFunc(plan.Goals, func(g fioctl.Goal) bool { return g.Aim == fioctl.Aim{} })
	// The probe has a file of its own, an eighth, as in H4.
	load, probe := c.spec(hypotheses.TargetName, c.Size), c.spec(hypotheses.ProbeTargetName, max(c.Size/8/mib, 1)*mib)
	if err := errors.Join(plan.Validate(), load.Validate()); err != nil {
		return exitError{2, err}
	}
	if err := c.check(); err != nil {
		return err
	}
	disk, err := c.disk()
	if err != nil {
		return err
	}
	if c.Device != "" {
		disk = c.Device
	}
	if _, err := fioctl.ReadDeviceCounters("", disk); err != nil {
		return err
	}
	f, err := c.find(ctx, s, c.Dir)
	if err != nil {
		return err
	}
	live := terminal()
	defer live.Clear()
	target, done, err := c.open(ctx, s, live, load)
	if err != nil {
		return err
	}
	defer done(&err)
	victim, done, err := c.open(ctx, s, live, probe)
	if err != nil {
		return err
	}
	defer done(&err)
	say := live.Show
	if live.W == nil {
		say = func(line string) { fmt.Fprintln(s.err, line) }
	}
	cal, err := fioctl.Calibrate(ctx, fioctl.CalibrateConfig{
		Fio: f, Target: target, Device: disk, Dir: c.Dir, Plan: plan, Progress: say,
		Probe: fioctl.Probe{Path: victim.Path, SizeBytes: victim.SizeBytes, BlockBytes: plan.BlockBytes, PerSec: probesPerSec, Seed: plan.Seed},
	})
	live.Clear()
	if err != nil {
		return err
	}
	return errors.Join(c.print(s, disk, cal), c.save(s, cal))
}

// check refuses, before minutes are spent, a file that could not be written.
func (c fioCalibrateCmd) check() error {
	if c.Out == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(c.Out)); err != nil || !info.IsDir() {
		return exitError{2, fmt.Errorf("--out %s: %s is no directory (make it first)", c.Out, filepath.Dir(c.Out))}
	}
	if info, err := os.Stat(c.Out); err == nil && info.IsDir() {
		return exitError{2, fmt.Errorf("--out %s: is a directory (name a file in it, such as fio-calibration.json)", c.Out)}
	}
	return nil
}

func (c fioCalibrateCmd) save(s streams, cal fioctl.Calibration) error {
	if c.Out == "" {
		return nil
	}
	if err := cal.Save(c.Out); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "saved in %s, to be used for %v\n", c.Out, fioctl.DefaultTTL)
	return nil
}

func (c fioCalibrateCmd) print(s streams, disk string, cal fioctl.Calibration) error {
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(cal)
	}
	for _, t := range []analysis.Table{sweepTable(disk, cal), levelTable(cal)} {
		text, err := t.Text()
		if err != nil {
			return err
		}
		fmt.Fprintln(s.out, text)
	}
	plateau := fmt.Sprintf("From depth %d on the disk does no more.", cal.Plateau)
	if cal.Plateau == 0 {
		plateau = "No plateau up to the greatest depth."
	}
	fmt.Fprintf(s.out, "%s Aims are shares of a saturated disk: %.0f reads/s, %.0f MB/s at depth %d. Took %v.\n",
		plateau, cal.Max.IOPS, cal.Max.BytesPerSec/1e6, cal.Max.Depth, cal.Took.Round(time.Second))
	return nil
}

func columns(of ...string) []analysis.TableColumn {
	var all []analysis.TableColumn
	for i := 0; i < len(of); i += 2 {
		all = append(all, analysis.TableColumn{Name: of[i], Unit: of[i+1]})
	}
	return all
}

func sweepTable(disk string, cal fioctl.Calibration) analysis.Table {
	t := analysis.Table{
		Title: fmt.Sprintf("%s, random reads of %v by depth", disk, size(cal.BlockBytes)),
		Columns: columns("depth", "", "IOPS", "", "MB/s", "", "clat p50", "ms", "clat p99", "ms",
			"r_await", "ms", "aqu-sz", "", "%util", "reported only"),
	}
	for _, d := range cal.Sweep {
		t.Rows = append(t.Rows, []any{
			d.Depth, math.Round(d.IOPS), d.BytesPerSec / 1e6, ms(d.ClatP50), ms(d.ClatP99),
			ms(d.RAwait), d.AquSz, math.Round(d.UtilPct),
		})
	}
	return t
}

func levelTable(cal fioctl.Calibration) analysis.Table {
	t := analysis.Table{
		Title: "Levels of contention, and a single reader beside them",
		Columns: columns("level", "", "aim", "", "job", "", "IOPS", "", "miss", "%", "spread", "%", "r_await", "ms", "aqu-sz", "",
			"probe p50", "ms", "probe p99", "ms", "fio", "cores"),
	}
	t.Rows = append(t.Rows, []any{"idle", "no load", "none", nil, nil, nil, nil, nil, ms(cal.Idle.P50), ms(cal.Idle.P99), nil})
	for _, l := range cal.Levels {
		job := "none"
		if l.Job != nil {
			job = jobText(*l.Job)
		}
		t.Rows = append(t.Rows, []any{
			l.Name, aimText(l.Aim), job, math.Round(l.IOPS), percent(l.Miss), percent(l.Spread),
			ms(l.RAwait), l.AquSz, ms(l.Victim.P50), ms(l.Victim.P99), l.CPUCores,
		})
	}
	return t
}

func percent(share float64) float64 { return math.Round(1000*share) / 10 }

func aimText(a fioctl.Aim) string {
	switch {
	case a.Share != 0:
		return fmt.Sprintf("%g %%", 100*a.Share)
	case a.AquSz != 0:
		return fmt.Sprintf("aqu-sz %g", a.AquSz)
	case a.ProbeMultiple != 0:
		return fmt.Sprintf("probe p50 × %g", a.ProbeMultiple)
	}
	return "no load"
}

func jobText(j fioctl.Job) string {
	if j.RateIOPS == 0 {
		return fmt.Sprintf("depth %d", j.Depth)
	}
	return fmt.Sprintf("%.0f/s, depth %d", j.RateIOPS, j.Depth)
}
