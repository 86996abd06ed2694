package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spark-harness/harness/fioctl"
)

// ErrLacking says that this machine lacks a tool that a hypothesis needs. It
// is a reason to skip, not a failure.
var ErrLacking = errors.New("this machine lacks what the hypothesis needs")

// needsLever: H4 moves the disk with fio, unless the user is content with what
// limits on the server alone can prove.
func needsLever(ctx context.Context, c Config) error {
	if c.Lever == leverThrottle {
		return nil
	}
	_, err := fioctl.Find(ctx, c.Fio, os.TempDir())
	if errors.Is(err, fioctl.ErrNoFio) || errors.Is(err, fioctl.ErrOldFio) {
		return fmt.Errorf("hypotheses: H4: %w: %w; SPARK_LEVER=throttle pulls the second lever alone, which proves less", ErrLacking, err)
	}
	return nil // anything else shows when the run's own directory is tried
}
