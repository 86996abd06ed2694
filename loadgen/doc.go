// Package loadgen sends streaming load to a large language model's server and
// records what each request saw.
//
// A Plan says what to send and when, a Target to whom; Run carries the plan out
// and gives a Record of every request to a sink and a Summary of all. Plans are
// values: the same Plan asks for the same requests, at the same nanoseconds and
// in the same words, on any machine.
//
// A Target's Dialect and Flavor say how the server is asked: by OpenAI's API, in
// what each server makes of it, or by Triton's generate_stream in its three
// shapes, always with nothing that the server does not know. Records mean the
// same in all of them.
//
// Latency counts from the moment a request was due, so a server that stalls
// cannot hide its tail, and a client that is late charges itself. Arrivals that
// could not be sent, answers that were cut, and prompts that the server
// shortened are records like any other, each with its Outcome: nothing is
// retried, moved or dropped in silence.
//
// Units are in names: a time.Duration in Go, _ns, _ms, _bytes and _tokens in
// JSON. Instants are times since the run's epoch on CLOCK_MONOTONIC; arrival
// times come from the kernel where it stamps them. Quantiles are in [0,1], and
// what has no data is absent, never 0.
//
// Run blocks, and no goroutine or connection of it outlives the call. Plan,
// Target, Workload, Calibration and finished Records may be read from many
// goroutines; Accumulator, Hist and RecordWriter are for one at a time.
//
// The package does not judge: it knows nothing of verdicts, of the server's
// disk or of other machines, and it reads neither flags nor environment.
package loadgen
