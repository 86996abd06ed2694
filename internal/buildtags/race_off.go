//go:build !race

package buildtags

// Race says that the race detector is compiled in: timings are worthless.
const Race = false
