package loadgen_test

import (
	"fmt"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// A schedule needs no clock: a plan's due times can be looked at before it is
// sent.
func ExamplePlan_Schedule() {
	plan := loadgen.Plan{Arrivals: loadgen.Poisson(2), Measure: 3 * time.Second, Seed: 42}
	for a := range plan.Schedule() {
		fmt.Println(a.ID, a.Due)
	}
	// Output:
	// 0 651.26458ms
	// 1 938.490987ms
	// 2 1.371167591s
	// 3 2.852623665s
}

// A nonce at the start makes every user's prompt its own; the suffix is new in
// every turn.
func ExampleWorkload_Prompt() {
	w := loadgen.Workload{
		PromptTokens: 24, SuffixTokens: 8,
		Nonce: loadgen.Nonce{Position: loadgen.NonceStart, Scope: loadgen.ScopeUser},
	}
	for turn := range 2 {
		fmt.Println(w.Prompt(1, 7, turn, loadgen.Calibration{}).Text)
	}
	// Output:
	// hospital purple nervous neighbor designed explained royal chose Their finger against some cow watched no sweet This sad child kissed each friend along his
	// hospital purple nervous neighbor designed explained royal chose Their finger against some cow watched no sweet One valley returned one rough player behind any
}
