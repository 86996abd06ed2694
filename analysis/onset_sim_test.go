//go:build sim

package analysis

import "testing"

// The numbers of docs/decisions/0015: go test -tags sim ./analysis -run TestOnsetSim -v
func TestOnsetSim(t *testing.T) {
	for _, c := range onsetCases() {
		for _, noise := range []float64{0.05, 0.15, 0.3} {
			found, knee := onsetRates(c, 400, noise)
			t.Logf("| %s | %.0f %% | %.1f %% | %.2f | %.2f–%.2f |", c.name, 100*noise, 100*found, knee.Value, knee.Lo, knee.Hi)
		}
	}
}
