package spark

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark/adapters"
)

// An emulator that is attached to reads an adapter again after Cold, and is told
// by what it read, not by what it said.
func TestColdHasTheEmulatorReadItsAdaptersAgain(t *testing.T) {
	dir := t.TempDir()
	files, err := adapters.Make(t.Context(), dir, adapters.Spec{Model: "L8B", Rank: 1}, 2, nil)
	require.NoError(t, err)
	cfg := small(t)
	cfg.AdapterDir, cfg.AdapterSlots = dir, 2
	p, err := StartEmulator(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	s, err := Attach(t.Context(), Endpoint{URL: p.Info.URL})
	require.NoError(t, err)
	require.Equal(t, []string{files[0].Name, files[1].Name}, s.Adapters)
	require.Equal(t, int64(2), *s.Facts.AdapterSlots)
	require.Equal(t, "spark_emulator_adapter_slots", s.Facts.Source["adapter_slots"])
	require.Equal(t, cfg.Model, s.Endpoint.Model)

	scraper, err := NewScraper(s, 0)
	require.NoError(t, err)
	counters := func() Counters { return scraper.Scrape(t.Context()).Point().Counters }
	ask := func() (read float64) {
		before := counters()
		target := loadgen.Target{BaseURL: s.Endpoint.URL, Model: s.Endpoint.Model, Dialect: loadgen.Dialect(s.Dialect), Flavor: s.Flavor.Requests()}
		plan := loadgen.Plan{
			Arrivals: loadgen.Trace([]time.Duration{0}), Measure: time.Millisecond, Drain: 10 * time.Second,
			Workload: loadgen.Workload{OutputTokens: 2, Prompts: []string{"One two three"}, Adapters: loadgen.Adapters{List: []loadgen.Adapter{{Name: files[0].Name}}}},
		}
		_, err := loadgen.Run(t.Context(), target, plan, func(r *loadgen.Record) error {
			require.Equal(t, loadgen.OutcomeOK, r.Outcome, r.Error)
			require.Equal(t, files[0].Name, r.Adapter)
			return nil
		})
		require.NoError(t, err)
		return *counters().Since(before).AdapterInBytes
	}
	require.Equal(t, float64(files[0].Bytes), ask(), "the first use reads the whole file")
	require.Zero(t, ask(), "the second reads nothing")
	refs := []AdapterRef{{files[0].Name, files[0].Dir}, {files[1].Name, files[1].Dir}}
	means, err := Control{}.Cold(t.Context(), s, refs)
	require.NoError(t, err)
	require.Equal(t, MeansUnload, means)
	require.Equal(t, float64(files[0].Bytes), ask(), "cold again")
	again, err := Attach(t.Context(), s.Endpoint)
	require.NoError(t, err)
	require.ElementsMatch(t, s.Adapters, again.Adapters)
}
