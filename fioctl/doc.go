// Package fioctl puts a known load on a disk and proves that it was there. It
// finds fio and the best engine that works here, makes the file that fio reads,
// calibrates a device and levels of contention on it, runs a job for exactly as
// long as it is wanted, and says of every window whether contention really
// happened. A victim probe of its own measures what the load does to a reader
// that is neither the server nor fio.
//
// It never writes outside the directory that it is given, never to a block
// device, and starts fio without a shell. Sizes are bytes, rates per second,
// latencies time.Duration; instants count from an epoch on CLOCK_MONOTONIC.
// fio's %util is reported and decides nothing: it only says that something was
// in flight.
package fioctl
