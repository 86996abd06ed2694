package v25

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// second is one second of a disk, as iostat 12.6 counted it.
type second struct{ r, rMB, rrqm, rrqmPct, rAwait, rSize, w, wMB, wrqm, wrqmPct, wAwait, aqu, util float64 }

// seconds are the lines of testdata/iostat-12.6.txt after the first, which is
// since boot.
func seconds(t testing.TB) (out []second) {
	t.Helper()
	b, err := os.ReadFile("testdata/iostat-12.6.txt")
	require.NoError(t, err)
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) != 23 || f[0] != "vda" {
			continue
		}
		n := make([]float64, len(f))
		for i := range f {
			n[i], _ = strconv.ParseFloat(f[i], 64)
		}
		out = append(out, second{n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[21], n[22]})
	}
	require.Len(t, out, 18)
	return out[1:]
}

// columns are the eight fields that the earlier harness keeps of a second under
// each version of sysstat.
func (s second) columns(l Layout) string {
	all := s.r + s.w
	await, size := 0.0, 0.0
	if all > 0 {
		await, size = (s.r*s.rAwait+s.w*s.wAwait)/all, (s.rMB+s.wMB)*2048/all
	}
	fields := map[Layout][]float64{
		Layout11:  {s.r, s.w, s.rMB, s.wMB, await, s.aqu, size, s.util},
		Layout12:  {s.rMB, s.wMB, s.rrqm, s.wrqm, s.rAwait, s.wrqmPct, s.rrqmPct, s.util},
		Layout121: {s.rrqm, s.rrqmPct, s.rAwait, s.rSize, s.wrqm, s.wMB, s.w, s.util},
	}[l]
	var text []string
	for _, v := range fields {
		text = append(text, fmt.Sprintf("%.2f", v))
	}
	return strings.Join(text, ",")
}

func (s second) slower(by float64) second {
	if by > 0 {
		s.rAwait *= by
	}
	return s
}

const telemetryHeader = "ms_since_t0,vm_r,vm_b,vm_us,vm_sy,vm_id,vm_wa,mem_MemAvailable_kB,mem_Cached_kB," +
	"iostat_rps,iostat_wps,iostat_rMBps,iostat_wMBps,iostat_await_ms,iostat_avg_rqsz,iostat_avg_qu_sz,iostat_util_pct," +
	"gpu_util_pct,gpu_mem_used_MiB,gpu_mem_total_MiB,ssd_temp_C"

// planted is one run with its truth. The file shapes are those of the earlier
// harness's scripts; the numbers are made up, except that the disk's seconds are
// real ones.
type planted struct {
	hyp, tag, handle, phase, context, session, sha string
	users, adapters, maxTokens, repeat             int
	good, failed                                   int
	ms                                             float64 // median latency
	layout                                         Layout
	reads                                          float64 // SMART read commands per second
	free                                           float64 // least MemAvailable, GiB
	api                                            string
	serial                                         string
	wait                                           int     // minutes between the first SMART log and the load
	slow                                           float64 // r_await over the real one; 0 for 1
}

func (p planted) id() string {
	parts := []string{"20251113_2246", p.hyp, p.tag}
	for _, s := range []string{p.context, p.phase} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("U%d", p.users), fmt.Sprintf("r%d", p.repeat)), "_")
}

// write lays the run's files down.
func (p planted) write(t testing.TB, dir string) {
	t.Helper()
	put := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, p.id()+name), []byte(text), 0o644))
	}
	m := map[string]any{
		"run_id": p.id(), "hypothesis": p.hyp, "model_handle": p.handle, "model_tag": p.tag, "engine_profile": "bs256_ctx2k",
		"concurrency_users": p.users, "run_duration_sec": 300, "prompts_sha256": []string{p.sha},
	}
	for k, v := range map[string]string{"phase": p.phase, "context_config": p.context, "lora_session_type": p.session} {
		if v != "" {
			m[k] = v
		}
	}
	if p.maxTokens > 0 {
		m["max_tokens"] = p.maxTokens
	}
	if p.adapters > 0 {
		m["lora_adapter_count"] = p.adapters
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	put("_manifest.json", string(b))
	put("_summary.json", p.summary())
	put("_telemetry.csv", p.telemetry(seconds(t)))
	put("_mpstat.log", p.mpstat())
	put("_smartctl_pre.txt", p.smart(22-p.wait, 1_000_000, 2_000_000))
	put("_smartctl_post.txt", p.smart(27, 1_000_000+int64(p.reads*300*64*1024/512_000), 2_000_000+int64(p.reads*300)))
}

func (p planted) summary() string {
	total := p.good + p.failed
	quantiles := func(scale float64) string {
		return fmt.Sprintf(`"p50": %g, "p90": %g, "p95": %g, "p99": %g`, p.ms*scale, p.ms*scale*1.5, p.ms*scale*1.7, p.ms*scale*2.2)
	}
	return fmt.Sprintf(`{"requests_total": %d, "admission_pct": %g, "throughput_rps": %g,
"ttft_ms": {%s}, "latency_ms": {%s, "p99_ci_low": %g, "p99_ci_high": %g},
"avg": {"io_wait_pct": null, "qu_sz": NaN, "rps": 1, "gpu_util_pct": null, "r_await_ms": null, "rps_storage": null},
"meta": {"run_id": %q, "api_mode": %q, "target_url": "http://127.0.0.1:8355/v1/completions", "generated_at": "2025-11-13T22:52:00Z"}}`,
		total, 100*float64(p.good)/float64(max(total, 1)), float64(p.good)/300, quantiles(0.2), quantiles(1), p.ms*2.1, p.ms*2.3, p.id(), p.api)
}

func (p planted) telemetry(disk []second) string {
	rng := rand.New(rand.NewPCG(1, uint64(p.users*100+p.repeat)))
	var b strings.Builder
	b.WriteString(telemetryHeader + "\n")
	for i := range 98 {
		free := p.free + (110-p.free)*float64(97-i)/97
		fmt.Fprintf(&b, "%d,2,0,10,3,%d,%d,%.0f,%.0f,%s,%d,[N/A],[N/A],%.1f\n", i*3050+rng.IntN(20), 84-i%2, 3+i%2, free*(1<<20), 9e6+float64(i)*1e3,
			disk[i%len(disk)].slower(p.slow).columns(p.layout), 90+i%8, 45+float64(i)/50)
	}
	return b.String()
}

func (p planted) mpstat() string {
	var b strings.Builder
	b.WriteString("Linux 6.11.0-1016-nvidia (spark) \t11/13/25 \t_aarch64_\t(20 CPU)\n\n")
	for i := range 300 {
		clock := fmt.Sprintf("22:%02d:%02d", 46+i/60, i%60)
		fmt.Fprintf(&b, "%s     CPU    %%usr   %%nice    %%sys %%iowait    %%irq   %%soft  %%steal  %%guest  %%gnice   %%idle\n", clock)
		fmt.Fprintf(&b, "%s     all   10.00    0.00    3.00   %5.2f    0.00    0.00    0.00    0.00    0.00   80.00\n\n", clock, 3+p.reads/1000+float64(i%3)/10)
	}
	return b.String()
}

func (p planted) smart(minute int, units, reads int64) string {
	comma := func(n int64) string {
		s := strconv.FormatInt(n, 10)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	}
	return fmt.Sprintf(`smartctl 7.4 2023-08-01 r5530 [aarch64-linux-6.11.0-1016-nvidia] (local build)
=== START OF INFORMATION SECTION ===
Model Number:                       SAMSUNG MZALC4T0HBL1-00B07
Serial Number:                      %s
Firmware Version:                   5L2QFXM7
Local Time is:                      Thu Nov 13 22:%02d:01 2025 UTC
=== START OF SMART DATA SECTION ===
Temperature:                        45 Celsius
Data Units Read:                    %s [512 GB]
Data Units Written:                 900,000 [460 GB]
Host Read Commands:                 %s
Host Write Commands:                7,000,000
`, p.serial, minute, comma(units), comma(reads))
}

const (
	sha208  = "f0f0416ea250251eacb3f598db81fd22eddc14231f874a58f065cea09bc4bf3e"
	sha404  = "65387894eae4ec712f0527f60b0becd568ecf96244a0233ef00e2f1c28ad6573"
	sha2515 = "589c3ec7a486761dedbab15b4515667257aa5d37cdfb90b032f173f0bbef84e7"
	sha2632 = "c1d5015e9f129b9f7e6be062d526dd1267df8e5bbaca30309e4836521a8a6be8"
	sha5264 = "2e0ba20c34f0afb4071007a40d2aa30c2eedd16ebe793d649fb94e97f71f5c78"
)

// whole is a directory with all six scripts' runs, on sysstat 12.1 or later.
func whole(t testing.TB) string {
	dir := t.TempDir()
	for _, p := range wholePlan() {
		p.write(t, dir)
	}
	return dir
}

func wholePlan() (plan []planted) {
	base := planted{
		tag: "L70B", handle: "nvidia/Llama-3.3-70B-Instruct-FP4", sha: sha208, good: 2000, layout: Layout121,
		reads: 5, free: 40, api: "openai", serial: "S7XXNJ0Y1234",
	}
	add := func(p planted, repeats int) {
		for r := range repeats {
			p.repeat, p.ms = r+1, p.ms*(1+0.04*float64(r))
			plan = append(plan, p)
		}
	}
	for i, u := range []int{8, 16, 32, 64, 96, 128, 192} {
		p := base
		p.hyp, p.users, p.maxTokens, p.ms, p.good = "H0", u, 32, 900*(1+float64(i*i)/6), 600+200*i
		add(p, 3)
	}
	for i, phase := range []string{"COLD", "WARM"} {
		p := base
		p.hyp, p.users, p.phase, p.api, p.ms, p.failed = "H1", 64, phase, "triton", 4000-300*float64(i), 3
		add(p, 1)
	}
	for i, c := range []struct {
		context, sha string
		budget       int
	}{{"256_tokens_gen256", sha208, 256}, {"512_tokens_gen512", sha404, 512}, {"1024_tokens_gen512", sha404, 512}, {"1536_tokens_gen512", sha2515, 512}, {"2k_tokens_gen384", sha2632, 384}, {"4k_tokens_gen128", sha5264, 128}} {
		p := base
		p.hyp, p.users, p.context, p.sha, p.maxTokens = "H2", 32, c.context, c.sha, c.budget
		p.ms, p.reads, p.free = 5000+1500*float64(i), 10+float64(i*i*8), 60-8*float64(i)
		p.slow = 1 + 0.1*float64(i)
		add(p, 3)
	}
	for i, phase := range []string{"BASELINE", "MODERATE", "HEAVY"} {
		p := base
		p.hyp, p.users, p.phase, p.sha = "H4", 64, phase, sha2515
		for r := 1; r <= 3; r++ {
			q := p
			q.repeat, q.ms, q.reads = r, 9000+30*float64(r), 20
			if i > 0 && r == 1 {
				q.ms, q.reads, q.slow = 9900+100*float64(i), 5300, 2+0.1*float64(i)
			}
			plan = append(plan, q)
		}
	}
	for i, n := range []int{4, 16, 64} {
		for k, session := range []string{"sticky", "random"} {
			p := base
			p.hyp, p.users, p.adapters, p.session, p.api, p.sha = "H5", 64, n, session, "triton", sha2515
			p.phase = fmt.Sprintf("S_%d_%s", n, []string{"STICKY", "STORM"}[k])
			p.ms, p.reads = 9000+500*float64(i*(k+1)), 30+40*float64(i*(k+1))
			add(p, 3)
		}
	}
	for i, phase := range []string{"BASELINE", "LORA"} {
		p := base
		p.hyp, p.users, p.phase, p.api, p.sha, p.ms, p.reads = "H6", 64, phase, "triton", sha2515, 9000+400*float64(i), 25+5*float64(i)
		add(p, 3)
	}
	return plan
}
