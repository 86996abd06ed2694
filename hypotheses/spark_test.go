//go:build spark

package hypotheses

import "testing"

// The runner: go test -tags spark -v ./hypotheses -run TestH2. The tag stands
// in this file alone; the tests are one line each.

func TestH0(t *testing.T) { run(t, H0()) }
func TestH1(t *testing.T) { run(t, H1()) }
func TestH2(t *testing.T) { run(t, H2()) }
func TestH3(t *testing.T) { run(t, H3()) }
func TestH4(t *testing.T) { run(t, H4()) }
func TestH5(t *testing.T) { run(t, H5()) }
func TestH6(t *testing.T) { run(t, H6()) }
func TestH7(t *testing.T) { run(t, H7()) }
func TestH8(t *testing.T) { run(t, H8()) }
