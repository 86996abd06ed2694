package hypotheses

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark/smart"
)

// snapshot reads what the watched disk has counted of itself. It is taken at an
// arm's idle edges: before the first one's instant and after the last one's, so
// that what a tool reads to start is in no arm's telemetry. A reading that fails
// is part of the record, never the end of a run; only ctx is.
func (r *Rig) snapshot(ctx context.Context) (smart.Snapshot, error) {
	s, err := r.disk.Read(ctx, r.device)
	if err != nil && ctx.Err() != nil {
		return s, ctx.Err()
	}
	return s, nil
}

// keepSnapshots takes the snapshot of the last idle edge and writes both: nothing
// is written between the two of them.
func (r *Rig) keepSnapshots(ctx context.Context, dir string, pre smart.Snapshot) error {
	post, err := r.snapshot(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		bundle.WriteJSON(filepath.Join(dir, analysis.SmartBefore), pre),
		bundle.WriteJSON(filepath.Join(dir, analysis.SmartAfter), post),
	)
}
