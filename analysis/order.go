package analysis

import (
	"errors"
	"fmt"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// ErrClock means that a record's instants run backwards: a clock was set while
// the run went on, or somebody wrote the record by hand. No latency of such a
// run can be trusted.
var ErrClock = errors.New("instants run backwards (a clock was set during the run: measure again)")

// clockSlack is by how much two instants may be out of order: arrivals are
// stamped by the kernel, endings by this process, and the offset between their
// clocks is known to some microseconds.
const clockSlack = time.Millisecond

// inOrder checks that a record's instants follow each other and begin after the
// epoch.
func inOrder(r *loadgen.RecordHead) error {
	var before time.Duration
	last := "the run's epoch"
	for _, at := range []struct {
		name string
		t    loadgen.Instant
	}{{"due", r.Due}, {"first token", r.FirstToken}, {"last token", r.LastToken}, {"close", r.Close}} {
		t, ok := at.t.Get()
		if !ok {
			continue
		}
		if t < before-clockSlack {
			return fmt.Errorf("%s is %v before %s: %w", at.name, before-t, last, ErrClock)
		}
		before, last = t, at.name
	}
	return nil
}
