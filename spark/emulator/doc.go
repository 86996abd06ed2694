// Package emulator is an LLM server whose compute is modelled and whose memory
// and storage are real. It serves the OpenAI API as vLLM does and, on a second
// address, the models that Triton serves for LLMs. It batches continuously,
// keeps a prefix cache of key-value blocks in a bounded pool of real bytes, and,
// when the pool is full, writes blocks to a spill file and reads them back with
// direct I/O. LoRA adapters are files, read through the page cache into a bounded
// number of slots of real memory when a request first names them. No latency
// that storage could cause is scripted: a request is slow because its blocks or
// its adapter really waited for the disk.
//
// Serve runs one server in the calling process until its context ends and
// leaves nothing behind; package spark runs it in a process of its own.
// A Config is a plain value that belongs in a run's manifest.
//
// Units: time.Duration in Go and nanoseconds in JSON (_ns), tokens, bytes.
// Instants are CLOCK_MONOTONIC less Config.Epoch. Config, Info and the truth
// types are values without hidden state; Serve is safe to call several times
// at once as long as no two servers share a spill directory.
//
// The package refuses what would measure nothing or lie: a spill directory
// without a disk under it (tmpfs, overlay), a spill file with holes, a pool
// larger than the memory at hand, request options it would have to ignore.
package emulator
