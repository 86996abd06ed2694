// Package hypotheses holds the test plan as code: each hypothesis says what to
// measure, how to judge the bundle that the measurement left, and how to draw
// it. A Rig measures: it finds or starts the server, settles the machine, runs
// the arms of a Design with telemetry beside them, and commits one run bundle.
//
// One measurement runs on a machine at a time; a lock keeps others out. All
// functions block, none prints: progress goes to a Progress function. The
// package refuses to measure from a binary built with the race detector.
package hypotheses
