//go:build !race

package loadgen

// joined is for the race detector alone.
func joined(uintptr) {}
