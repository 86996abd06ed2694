// Package sysmon records what the machine did while a server was measured: the
// disk under test, memory, processors, pressure stalls, and optionally the
// server's own cgroup and process, at a fixed pace (10 Hz unless told).
//
// # Purpose
//
// A [Sampler] reads one set of kernel files per tick and hands out a [Row]; a
// [Writer] keeps rows as compressed CSV; [ReadTable] brings them back as a
// [Table], whose window methods compute rates and waits for any interval
// exactly, from the raw counters that stand beside every derived column.
// [DeviceOf] finds the disk below a path, so that nobody types the name of the
// wrong one. [Check] holds the sampler against iostat, vmstat and mpstat.
//
// # Units
//
// Each column carries its unit in its name and in [Column.Unit]. kB means KiB
// (the kernel's habit) and MBps means 10⁶ bytes per second. Instants are
// time.Duration since the run's epoch on CLOCK_MONOTONIC.
//
// # Absence
//
// A value that could not be read is NaN (an empty field in the file), never 0.
// A column this machine cannot have is left out, and Meta.Missing says why.
// A counter that ran backwards makes that tick's derived values NaN and is
// counted in the column "resets".
//
// # Why own readers
//
// prometheus/procfs is used where a fact is read once (mounts). On the sampling
// path it opens files anew and allocates: 123 µs and 79 allocations for
// diskstats where a held-open pread of /sys/block/D/stat takes 3 µs and none,
// and it has neither whole-system vmstat nor cgroup-v2 io.stat. So each kernel
// file has its own small reader here, one Go file each, reading apart from
// parsing.
//
// # Concurrency
//
// Sampler and Writer are for one goroutine each. A Table is safe for concurrent
// reading. No goroutine outlives a call.
//
// # Refusals
//
// The package never guesses a device, never averages waits over ticks, never
// extrapolates past its record, and never calibrates on util_pct, which lies on
// devices that serve requests in parallel (sysstat issues 187 and 405).
package sysmon
