// Package watch shows a run while it goes on: one page with live curves and a
// Prometheus endpoint, both served from memory.
//
// A Hub takes what the measuring code hands it through taps, and a Server
// serves it. No tap ever waits, locks or allocates on the hot path: what finds
// its buffer full is dropped from the view and counted (spark_watch_dropped_total);
// the run's own files are written whatever happens here. Every method of a nil
// *Hub does nothing, and a tee of a nil *Hub is the function it was given, so
// that code which measures reads the same watched and unwatched.
//
// Times are seconds since the Hub was made, latencies milliseconds, rates per
// second; what is absent is null, never 0. Live quantiles are read from buckets
// of at most 0.8 % width; verdicts rest on the records alone and nothing here
// is ever read back by them. Memory is bounded: the last minutes at one bin a
// second, the whole run at a resolution that halves as it grows.
//
// Taps are for any goroutine. The package writes no file, asks nothing of the
// network, and refuses to listen beyond this host unless told so by address.
package watch
