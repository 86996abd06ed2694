package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/sysmon"
)

// Limits of a quiet machine. A Spark idles well below both; a desktop session
// or a backup does not.
const (
	quietDiskBytesPerSec = 20e6
	quietCPUShare        = 0.25 // of all cores
)

// settle waits until the machine has been quiet for the profile's settling
// time, and says what it saw last. When it has to give up, the arm is measured
// all the same and the verdict says NOT_QUIET.
func (r *Rig) settle(ctx context.Context) (analysis.Quiet, error) {
	q := analysis.Quiet{
		DiskLimit: quietDiskBytesPerSec, CPULimitCores: quietCPUShare * float64(runtime.NumCPU()),
		DeviceUnobserved: r.device == "",
	}
	s, err := sysmon.New(sysmon.Config{Interval: r.Profile.Settle, Device: r.device})
	if err != nil {
		return q, fmt.Errorf("hypotheses: settle: %w", err)
	}
	defer s.Close()
	columns := s.Meta().Columns
	value := func(row sysmon.Row, name string) float64 {
		for i, c := range columns {
			if c.Name == name {
				return row.Values[i]
			}
		}
		return math.NaN()
	}
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.Profile.SettleMax)
	defer cancel()
	ticks := 0
	err = s.Run(limited, func(row sysmon.Row) error {
		if ticks++; ticks == 1 {
			return nil // no interval yet
		}
		idle := value(row, "cpu_idle_pct") + value(row, "cpu_iowait_pct")
		if math.IsNaN(idle) {
			return nil // a closing row, too short to tell
		}
		q.Waited = time.Since(start)
		q.DiskBytesPerSec = 1e6 * (value(row, "rd_MBps") + value(row, "wr_MBps"))
		q.CPUBusyCores = (100 - idle) / 100 * float64(runtime.NumCPU())
		q.OK = (q.DeviceUnobserved || q.DiskBytesPerSec <= q.DiskLimit) && q.CPUBusyCores <= q.CPULimitCores
		if q.OK {
			return errQuiet
		}
		return nil
	})
	if q.DeviceUnobserved {
		q.DiskBytesPerSec = 0
	}
	if err != nil && !errors.Is(err, errQuiet) {
		return q, fmt.Errorf("hypotheses: settle: %w", err)
	}
	return q, ctx.Err()
}

// errQuiet ends the sampler as soon as there is nothing left to wait for.
var errQuiet = errors.New("quiet")
