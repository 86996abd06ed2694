//go:build spark

package hypotheses

import "testing"

// The runner: go test -tags spark -v ./hypotheses -run TestH2. The tag stands
// in this file alone; the tests are one line each.

func TestH0(t *testing.T) { run(t, H0()) }
func TestH2(t *testing.T) { run(t, H2()) }
func TestH4(t *testing.T) { run(t, H4()) }
