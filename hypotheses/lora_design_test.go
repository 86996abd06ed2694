package hypotheses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// plannedBy is the design of h at its full size on a toy emulator; nothing of
// it is measured.
func plannedBy(t *testing.T, h Hypothesis) Design {
	t.Helper()
	c := toy(t)
	c.profile.Thin = false
	ctx, cancel := context.WithCancelCause(t.Context())
	_, _, err := Execute(ctx, c, h, time.Time{}, Progress{Live: func(line string) {
		if strings.Contains(line, "arm 1 of") {
			cancel(errors.New("the plan is there"))
		}
	}})
	require.Error(t, err)
	dir, _ := partial(t, c, h.ID)
	b, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	require.NoError(t, err)
	var d Design
	require.NoError(t, json.Unmarshal(b, &d))
	return d
}

// byBlock are the arms of each block in the order of measuring.
func byBlock(d Design) [][]Arm {
	blocks := make([][]Arm, d.Profile.Repeats)
	for _, a := range d.Arms {
		blocks[a.Block] = append(blocks[a.Block], a)
	}
	return blocks
}

// Hot comes before the storm as often as after it, and the base model is always
// at the far end of the hot arm: ABBA or BAAB.
func TestBothOrdersOfH6AreEquallyOften(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	d := plannedBy(t, H6())
	require.Len(t, d.Arms, 3*h6Pairs)
	first := 0
	var orders []bool
	for _, arms := range byBlock(d) {
		var conditions []string
		for _, a := range arms {
			conditions = append(conditions, a.LoRA.Condition)
		}
		stormFirst := conditions[0] == analysis.ConditionStorm
		if stormFirst {
			first++
			slices.Reverse(conditions)
		}
		require.Equal(t, []string{analysis.ConditionBase, analysis.ConditionHot, analysis.ConditionStorm}, conditions)
		orders = append(orders, stormFirst)
	}
	require.Equal(t, h6Pairs/2, first)
	for i := 0; i < len(orders); i += 2 {
		require.NotEqual(t, orders[i], orders[i+1], "a pair of pairs has both, so that drift weighs on both alike")
	}
}

// Every block of H5 has every cell once, in orders of its own.
func TestEveryCellOfH5OnceInABlock(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	d := plannedBy(t, H5())
	want := []string{"base 0", "sticky 16", "sticky 4", "sticky 64", "storm 16", "storm 4", "storm 64"}
	orders := map[string]bool{}
	for _, arms := range byBlock(d) {
		var cells []string
		for _, a := range arms {
			cells = append(cells, fmt.Sprintf("%s %d", a.LoRA.Condition, a.LoRA.Adapters))
			require.True(t, a.Restart, "each from a cold start")
		}
		orders[strings.Join(cells, ",")] = true
		require.ElementsMatch(t, want, cells)
	}
	require.Greater(t, len(orders), 6, "eight blocks, hardly two alike")
}
