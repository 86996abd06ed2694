package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// A claim beside the verdict neither holds nor fails, whatever it says of itself.
func TestClaimsBesideAreMarked(t *testing.T) {
	for _, row := range []struct {
		claim analysis.Claim
		want  string
	}{
		{analysis.Claim{Holds: true}, "✓ yes"},
		{analysis.Claim{}, "✗ no"},
		{analysis.Claim{Beside: true}, "– beside"},
		{analysis.Claim{Beside: true, Holds: true}, "– beside"},
	} {
		require.Equal(t, row.want, holds(row.claim))
		require.Equal(t, row.claim.Beside, claimViews([]analysis.Claim{row.claim})[0].Aside)
	}
}
