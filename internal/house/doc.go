// Package house holds the project's policy as tests: who may import whom, how
// long a file may be, who may print, read the environment or start processes.
// It has no code of its own and refuses none to others but by a failing test.
package house
