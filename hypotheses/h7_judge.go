package hypotheses

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark/smart"
)

const (
	h7Rho = 0.8 // least rank correlation of predicted bytes and host reads
	// Commands and block-layer reads may differ by so much without any reason: a
	// command or two that end between the two readings.
	h7Commands = 16
	h7Share    = 0.01
	// Less than this part of what the server loaded, read from the disk: the page
	// cache gave the rest.
	h7Cached = 0.5
)

// h7Arm is one arm with adapters, of any run.
type h7Arm struct {
	*analysis.Measured

	hypothesis, run string
	cluster         int // arms of one block of one run
	predicted       predicted
}

// h7Data is all arms of a judgement.
type h7Data struct {
	arms     []h7Arm
	clusters int
	logged   bool // every arm has the disk's own log
	seed     uint64
}

func h7DataOf(e *analysis.Experiment) (h7Data, error) {
	d := h7Data{logged: true, seed: e.Plan.Seed}
	for _, run := range e.Runs() {
		cluster := map[int]int{}
		for _, a := range run.Arms {
			if a.LoRA == nil {
				continue
			}
			if a.LoRA.AdapterBytes <= 0 && a.LoRA.Adapters > 0 {
				return d, errNoSize
			}
			if n := len(a.TTFT); n > 0 && !(a.TTFT[n-1] > 0) {
				return d, fmt.Errorf("arm %s has no first token later than its request: its records are not of a real server", a.Name)
			}
			if _, known := cluster[a.Block]; !known {
				cluster[a.Block] = d.clusters
				d.clusters++
			}
			d.arms = append(d.arms, h7Arm{a, run.Plan.Hypothesis, runName(run), cluster[a.Block], predictedBytes(a)})
			d.logged = d.logged && a.Smart != nil && a.Smart.Logged()
		}
	}
	if len(d.arms) == 0 {
		return d, errors.New("no run has arms with adapters")
	}
	return d, nil
}

// source names where the host's reads come from: the log only where every arm has
// it, because counts of two kinds do not compare.
func (d h7Data) source() string {
	if !d.logged {
		return smart.SourceDiskstats
	}
	return d.arms[0].Smart.Source
}

// host is an arm's reads and their bytes by the source; NaN where nobody saw.
func (d h7Data) host(a h7Arm) (reads, bytes float64) {
	switch {
	case a.Smart == nil:
		return math.NaN(), math.NaN()
	case d.logged:
		return a.Smart.Host()
	}
	return a.Smart.BlockReads, a.Smart.BlockReadBytes
}

// judgeH7 applies the rule of H7; see docs/plan.md.
func (h Hypothesis) judgeH7(e *analysis.Experiment) Judgement {
	d, err := h7DataOf(e)
	v := h.verdict(e, d.clusters)
	v.Quantile = "" // it is about bytes
	if err != nil {
		return gates{}.unfit(v, err)
	}
	g := d.gates(e)
	rho, rhoErr := d.correlation()
	if errors.Is(rhoErr, analysis.ErrTooFew) {
		return g.unfit(v, rhoErr)
	}
	closure, foreign := d.closure()
	sizes, misread := d.commandSizes()
	v.Claims = append(v.Claims,
		analysis.NewClaim(fmt.Sprintf("rank correlation of predicted adapter and KV bytes with the host's reads (source: %s), %d arms in %d blocks, resampled whole; lower bound",
			d.source(), len(d.arms), d.clusters), rho, h7Rho, "", rho.Lo > h7Rho), closure)
	if d.logged {
		commands, surplus := d.commands()
		v.Claims, foreign = append(v.Claims, commands), append(foreign, surplus...)
	}
	v.Claims = append(v.Claims, sizes...)
	v.Claims = append(v.Claims, analysis.NewClaim("arms", analysis.Estimate{Value: float64(len(d.arms)), Lo: math.NaN(), Hi: math.NaN()}, h7Arms, "arms", len(d.arms) >= h7Arms))
	reasons, refuted := d.reasons(rho, rhoErr, foreign, misread)
	v.P = d.p()
	v.Mechanism = d.mechanism()
	v = g.decide(v, d.needed(), refuted, reasons)
	if d.logged && len(foreign)+len(misread) > 0 {
		v.Outcome, v.Power.Needed, v.P = analysis.Invalid, 0, nil // the disk's own counts contradict the kernel's
	}
	v.Claims = append(v.Claims, d.bytesToo(), d.amount()) // they decide nothing
	return h.reportH7(e, v, d, rho)
}

// gates are those of every run, over all arms together: what no other verdict may
// rest on this one may not either. H1's windows have as many requests as adapters.
func (d h7Data) gates(e *analysis.Experiment) gates {
	all, counted := *e, *e
	all.Arms, counted.Arms = nil, nil
	for _, a := range d.arms {
		all.Arms = append(all.Arms, a.Measured)
		if a.hypothesis != "H1" {
			counted.Arms = append(counted.Arms, a.Measured)
		}
	}
	g := gatesOf(&all, "TOO_FEW_REQUESTS")
	if len(counted.Arms) > 0 {
		g.add("TOO_FEW_REQUESTS", requestsEnough(&counted))
	}
	return g
}

// correlation is Spearman's over all arms, its interval from resampling blocks.
func (d h7Data) correlation() (analysis.Estimate, error) {
	return analysis.ClusterSpearman(d.points(), analysis.Resampling{Seed: d.seed})
}

// points are predicted bytes and the host's reads of all arms.
func (d h7Data) points() (points []analysis.Point) {
	for _, a := range d.arms {
		reads, _ := d.host(a)
		points = append(points, analysis.Point{X: a.predicted.bytes, Y: reads, Block: a.cluster})
	}
	return points
}

// p is the sign-flip p over blocks that reads rise with predicted bytes: of each
// block's least-squares slope.
func (d h7Data) p() *float64 {
	slopes := analysis.BlockSlopes(d.points())
	var list []float64
	for _, block := range slices.Sorted(maps.Keys(slopes)) {
		list = append(list, slopes[block])
	}
	return risesP(list, d.seed)
}

// closure: what the second count has beyond the block layer's, over what it may,
// the worst arm. foreign names what broke it.
func (d h7Data) closure() (claim analysis.Claim, foreign []string) {
	worst, name, surplus, deficit := 0.0, "", false, false
	for _, a := range d.arms {
		share := math.NaN()
		if a.Smart != nil {
			bytes, limit := d.residual(a)
			share = math.Abs(bytes) / limit
			surplus, deficit = surplus || bytes > limit, deficit || bytes < -limit
		}
		if !(share <= worst) && !math.IsNaN(worst) {
			worst, name = share, a.title()
		}
	}
	counts := "diskstats' bytes against the kernel's second count (pgpgin, all disks)"
	if d.logged {
		counts = "the disk's Data Units Read against diskstats' bytes"
	}
	switch {
	case surplus || !d.logged && deficit:
		foreign = []string{"FOREIGN_IO"}
	case deficit:
		foreign = []string{"WRONG_DEVICE"}
	}
	text := fmt.Sprintf("closure (source: %s): %s, over the tolerance of max(1 %%, 1,024,000 B), worst of %d arms%s", d.source(), counts, len(d.arms), of(name))
	return upTo(text, "of tolerance", worst, 1), foreign
}

// residual is that of the source that stands for all arms.
func (d h7Data) residual(a h7Arm) (bytes, limit float64) {
	bytes, limit = a.Smart.Residual()
	if !d.logged {
		bytes = a.Smart.PagedInBytes - a.Smart.BlockReadBytes
	}
	return bytes, limit
}

// commands: as many as block-layer reads, and more only by what the device's
// limit on a command splits.
func (d h7Data) commands() (claim analysis.Claim, foreign []string) {
	worst, name, holds := 1.0, "", true
	for _, a := range d.arms {
		s := a.Smart
		slack := math.Max(h7Share*s.BlockReads, h7Commands)
		more := s.Reads - s.BlockReads
		switch {
		case more < -slack:
			holds, foreign = false, append(foreign, "WRONG_DEVICE")
		case more > s.Splits()+slack:
			holds, foreign = false, append(foreign, "FOREIGN_COMMANDS")
		}
		if ratio := s.Reads / s.BlockReads; s.BlockReads > 10*h7Commands && math.Abs(math.Log(ratio)) > math.Abs(math.Log(worst)) {
			worst, name = ratio, a.title()
		}
	}
	e := absent()
	e.Value = worst
	return analysis.NewClaim("host read commands over block-layer reads, the arm furthest from 1; no fewer, and more only by splits at the device's limit"+of(name), e, 1, "ratio", holds), foreign
}

// commandSizes: no mean command is smaller than a block or larger than a request
// may be. What the log rounds up is allowed for.
func (d h7Data) commandSizes() (claims []analysis.Claim, misread []string) {
	least, most := math.Inf(1), 0.0 // over their limits
	smallest, largest := math.NaN(), math.NaN()
	block, request := math.NaN(), math.NaN()
	for _, a := range d.arms {
		reads, bytes := d.host(a)
		if !(reads > 0) {
			continue
		}
		rounded := 0.0
		if d.logged {
			rounded = smart.UnitBytes
		}
		if v := (bytes + rounded) / reads / a.Smart.LogicalBlock; v < least || math.IsNaN(v) {
			least, smallest, block = v, bytes/reads, a.Smart.LogicalBlock
		}
		if v := (bytes - rounded) / reads / a.Smart.MaxRequest; v > most || math.IsNaN(v) {
			most, largest, request = v, bytes/reads, a.Smart.MaxRequest
		}
	}
	if least < 1 || most > 1 {
		misread = []string{"COMMAND_SIZE"}
	}
	value := func(v float64) analysis.Estimate {
		e := absent()
		e.Value = v
		return e
	}
	return []analysis.Claim{
		analysis.NewClaim("bytes per read, the arm with the smallest, against the logical block", value(smallest), block, "B", least >= 1 && !math.IsInf(least, 0)),
		analysis.NewClaim("bytes per read, the arm with the largest, against the largest request (max_sectors_kb)", value(largest), request, "B", most > 0 && most <= 1),
	}, misread
}

// reasons are the codes of what stands against the claim, and whether it is shown
// to be wrong.
func (d h7Data) reasons(rho analysis.Estimate, rhoErr error, foreign, misread []string) (reasons []string, refuted bool) {
	for _, code := range append(foreign, misread...) {
		if !slices.Contains(reasons, code) {
			reasons = append(reasons, code)
		}
	}
	if len(d.arms) < h7Arms {
		reasons = append(reasons, "TOO_FEW_ARMS")
	}
	switch share := d.share(); {
	case len(foreign) > 0: // what was read is not known well enough to say why
	case math.IsNaN(share):
		reasons = append(reasons, "READS_UNKNOWN")
	case errors.Is(rhoErr, analysis.ErrDegenerate) && d.total() == 0:
		reasons = append(reasons, "NO_READS") // nothing to predict
	case share < h7Cached:
		reasons = append(reasons, "PAGE_CACHE")
	case rhoErr != nil:
		reasons = append(reasons, "NO_VARIATION")
	}
	if len(reasons) == 0 && rho.Hi < h7Rho {
		return []string{"NOT_TRACKING"}, true
	}
	return reasons, false
}

// total is what all arms should have read, in bytes.
func (d h7Data) total() (bytes float64) {
	for _, a := range d.arms {
		bytes += a.predicted.bytes
	}
	return bytes
}

// share is what the host read over what was predicted, all arms together; NaN
// where an arm was not seen, infinite where nothing was predicted.
func (d h7Data) share() float64 {
	sum := 0.0
	for _, a := range d.arms {
		_, bytes := d.host(a)
		sum += bytes
	}
	if d.total() == 0 && sum == sum {
		return math.Inf(1)
	}
	return sum / d.total()
}

// bytesToo is the correlation with bytes in the place of reads: small reads of
// others weigh as much as large ones in a count, and next to nothing in bytes.
func (d h7Data) bytesToo() analysis.Claim {
	points := d.points()
	for i, a := range d.arms {
		_, points[i].Y = d.host(a)
	}
	rho, _ := analysis.ClusterSpearman(points, analysis.Resampling{Seed: d.seed})
	return besideClaim(analysis.NewClaim("beside the verdict: the same correlation with bytes read instead of reads", rho, h7Rho, "", rho.Lo > h7Rho))
}

func (d h7Data) amount() analysis.Claim {
	e := absent()
	e.Value = d.share()
	servers := 0
	for _, a := range d.arms {
		if a.predicted.server {
			servers++
		}
	}
	return besideClaim(analysis.NewClaim(fmt.Sprintf("beside the verdict: bytes read over bytes predicted, all arms together (loads by the server's count in %d arms, else by the design)", servers), e, math.NaN(), "ratio", true))
}

// mechanism is what most of the predicted bytes are.
func (d h7Data) mechanism() string {
	kv := 0.0
	for _, a := range d.arms {
		if in := a.DiskInBytes(); in == in {
			kv += in
		}
	}
	switch total := d.total(); {
	case total == 0:
		return ""
	case kv > total/2:
		return "KV_TIER"
	}
	return "ADAPTER_READ"
}

// needed is how many blocks as those measured would make enough arms.
func (d h7Data) needed() int {
	if len(d.arms) >= h7Arms {
		return 0
	}
	return int(math.Ceil(h7Arms * float64(d.clusters) / float64(len(d.arms))))
}

// title names an arm among those of several runs.
func (a h7Arm) title() string { return a.hypothesis + " " + a.Name }

func of(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// runName is a run's directory beneath the results directory.
func runName(e *analysis.Experiment) string {
	parts := strings.Split(strings.TrimSuffix(e.Dir, "/"), "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}
