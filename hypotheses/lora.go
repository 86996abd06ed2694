package hypotheses

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/adapters"
)

// lora is what the rig knows of the adapters.
type lora struct {
	list     []loadgen.Adapter           // as requests name them
	files    map[string]adapters.Adapter // by name
	control  spark.Control               // of an attached server
	restarts int
	setup    analysis.LoRASetup
}

// checkedAdapters are asked before the run: two tell whether adapters are
// applied at all.
const checkedAdapters = 3

// openLoRA learns which adapters there are, how large, how fast they are read,
// and whether the server applies them.
func (r *Rig) openLoRA(ctx context.Context) error {
	files, dir, err := r.adapterFiles()
	if err != nil {
		return err
	}
	l := &lora{files: files, control: spark.Control{
		Means: r.Config.LoRAMeans, Container: r.Config.LoRAContainer,
		Say: func(line string) { r.Progress.logf("%s", line) },
	}}
	r.lora = l
	if l.list, err = r.adapterList(dir); err != nil {
		return err
	}
	var sum int64
	for _, a := range l.list {
		l.setup.Adapters = append(l.setup.Adapters, a.Name)
		sum += files[a.Name].Bytes
	}
	l.setup.AdapterBytes = sum / int64(len(l.list))
	switch n := r.target.server.Facts.AdapterSlots; {
	case r.Config.LoRASlots > 0:
		l.setup.Slots, l.setup.SlotsFrom = r.Config.LoRASlots, "given by the user"
	case n != nil:
		l.setup.Slots, l.setup.SlotsFrom = int(*n), r.target.server.Facts.Source["adapter_slots"]
	}
	if l.setup.ReadBytesPerSec, err = r.readRate(); err != nil {
		return err
	}
	return r.checkAdapters(ctx)
}

// adapterList is the user's list, else everything in the directory. Numbers are
// places among all names of the directory, so that a part of the list keeps them.
func (r *Rig) adapterList(dir string) ([]loadgen.Adapter, error) {
	names := slices.Sorted(maps.Keys(r.lora.files))
	wanted := make([]loadgen.Adapter, 0, len(names))
	for _, name := range names {
		wanted = append(wanted, loadgen.Adapter{Name: name})
	}
	if r.Config.LoRAList != "" {
		var err error
		if wanted, err = loadgen.ReadAdapters(r.Config.LoRAList); err != nil {
			return nil, err
		}
	}
	onServer := cmp.Or(r.Config.LoRAServerDir, dir)
	var unknown []string
	for i := range wanted {
		a := &wanted[i]
		place := slices.Index(names, a.Name)
		if place < 0 {
			unknown = append(unknown, a.Name)
			continue
		}
		a.ID = cmp.Or(a.ID, int64(place+1))
		a.Path = cmp.Or(a.Path, filepath.Join(onServer, a.Name))
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("hypotheses: SPARK_LORA_LIST names adapters that %s does not hold: %s (it holds %d, such as %s)", dir, strings.Join(unknown, ", "), len(names), names[0])
	}
	return wanted, nil
}

// checkAdapters refuses a server that does not know the adapters. One that
// ignores them is left to the judge, with the evidence.
func (r *Rig) checkAdapters(ctx context.Context) error {
	r.Progress.livef("asking for adapters")
	list := r.lora.list[:min(checkedAdapters, len(r.lora.list))]
	check, err := loadgen.CheckAdapters(ctx, r.load(), list)
	if err != nil {
		return err
	}
	r.lora.setup.Check = check
	for _, a := range check.Answers {
		if a.Outcome != loadgen.OutcomeOK && a.Adapter != "" {
			return fmt.Errorf("hypotheses: the server at %s does not serve adapter %s: %s: %s (start it with its adapters, or name others with SPARK_LORA_LIST)", r.target.server.Endpoint.URL, a.Adapter, a.Outcome, a.Error)
		}
	}
	if check.Ignored {
		r.Progress.logf("WARNING: different adapters give the same answer: the server ignores what it is asked for")
	}
	return nil
}

// readRate reads one adapter's file cold, in bytes per second; 0 where somebody
// holds it in the page cache, which the judge will see of the others too.
func (r *Rig) readRate() (float64, error) {
	last := r.lora.files[r.lora.list[len(r.lora.list)-1].Name]
	rate, err := pagecache.ReadRate(last.File)
	switch {
	case errors.Is(err, pagecache.ErrResident):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("hypotheses: read an adapter cold: %w", err)
	}
	return rate, pagecache.Drop(last.File)
}

// readTime is about how long reading one adapter takes.
func (l *lora) readTime() time.Duration {
	const unknown = 1e9 // bytes per second, of a common disk
	rate := l.setup.ReadBytesPerSec
	if rate == 0 {
		rate = unknown
	}
	return seconds(float64(l.setup.AdapterBytes) / rate)
}

// makeCold makes server and page cache forget the adapters, where the arm asks
// for it, and says how. The page cache comes last: a starting server reads.
func (r *Rig) makeCold(ctx context.Context, arm Arm) (*analysis.ColdProof, error) {
	if arm.LoRA == nil {
		return nil, nil
	}
	proof := &analysis.ColdProof{ReadBytesPerSec: r.lora.setup.ReadBytesPerSec}
	if !arm.Restart {
		return proof, nil
	}
	var err error
	if proof.Means, err = r.restart(ctx); err != nil {
		return nil, fmt.Errorf("make the server cold: %w", err)
	}
	if proof.Dropped, err = r.dropPages(arm.Load.Workload.Adapters.List); err != nil {
		return nil, err
	}
	// The disk's speed drifts: what a cold read costs is measured next to it.
	if proof.ReadBytesPerSec, err = r.readRate(); err != nil {
		return nil, err
	}
	return proof, nil
}

// dropPages empties the page cache, of everything where that is allowed and of
// the adapters' files in any case, and says which.
func (r *Rig) dropPages(list []loadgen.Adapter) (how string, err error) {
	how = "fadvise"
	if !r.Config.gentle {
		switch err := pagecache.DropAll(); {
		case err == nil:
			how = "drop_caches"
		case !errors.Is(err, pagecache.ErrNotRoot):
			return "", err
		}
	}
	for _, a := range list {
		if err := pagecache.Drop(r.lora.files[a.Name].File); err != nil {
			return "", err
		}
	}
	return how, nil
}

func (r *Rig) restart(ctx context.Context) (means string, err error) {
	r.lora.restarts++
	if r.target.child != nil {
		r.Progress.livef("starting the emulator anew")
		truth := filepath.Join(r.run.Dir(), "raw", fmt.Sprintf("server-truth-%03d.jsonl.zst", r.lora.restarts))
		return spark.MeansProcess, r.target.restart(ctx, truth)
	}
	var refs []spark.AdapterRef
	for _, a := range r.lora.list {
		refs = append(refs, spark.AdapterRef{Name: a.Name, Path: a.Path})
	}
	return r.lora.control.Cold(ctx, r.target.server, refs)
}

// The sides of an arm's load on which the page cache is looked at.
const (
	before = iota
	after
)

// observe notes what the page cache holds of the arm's adapters.
func (r *Rig) observe(use *analysis.LoRA, arm Arm, side int) error {
	if use == nil || len(arm.Load.Workload.Adapters.List) == 0 {
		return nil
	}
	var sum pagecache.Residency
	for _, a := range arm.Load.Workload.Adapters.List {
		one, err := pagecache.Of(r.lora.files[a.Name].File)
		if err != nil {
			return err
		}
		sum = sum.Add(one)
	}
	if side == before {
		use.Cold.Before = &sum
	} else {
		use.Cold.After = &sum
	}
	return nil
}

// touch asks the base model and adapters once, before what is measured.
func (r *Rig) touch(ctx context.Context, arm Arm) error {
	w := arm.Load.Workload
	w.PromptSeed = armSeed(max(w.PromptSeed, 1), -3, arm.Block) // nothing that is asked again
	if arm.TouchBase > 0 {
		base := w
		base.Adapters = loadgen.Adapters{}
		if err := r.sendAll(ctx, arm, base, arm.TouchBase); err != nil {
			return fmt.Errorf("touch the base model: %w", err)
		}
	}
	if arm.TouchAdapters > 0 {
		if w.Adapters.Choice != loadgen.AdapterSticky { // whose users touch their own
			w.Adapters.Choice = loadgen.AdapterInOrder
		}
		w.PromptSeed++
		if err := r.sendAll(ctx, arm, w, arm.TouchAdapters); err != nil {
			return fmt.Errorf("touch adapters with %d requests: %w", arm.TouchAdapters, err)
		}
	}
	return nil
}
