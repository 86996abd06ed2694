// Package spark knows the machine and the servers on it: it attaches to a
// running LLM server and reads its facts back, runs the embedded emulator in a
// child process, scrapes server counters on the run's clock, describes the
// platform for a manifest, and keeps two measurements apart by a lock.
//
// Units stand in names: instants and durations are time.Duration, everything
// else says _bytes, _tokens or _blocks. What a server or kernel does not tell
// is nil with a reason beside it, never 0. Facts come from the server itself,
// not from our own configuration of it.
//
// Calls block until done or until their context ends; a value is for one
// goroutine unless its comment says otherwise, and no goroutine outlives its
// call except the one that guards a started process, which ends with it. The
// package never starts or stops a server that it did not start unless Control is
// told to, never reads flags or environment, and never stores an API key.
package spark
