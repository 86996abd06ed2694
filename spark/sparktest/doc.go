// Package sparktest holds the conformance suite that an LLM server must pass
// before its latencies mean anything: it streams properly, counts its tokens,
// keeps to the length asked for, refuses what it cannot do, and is free again
// when a client leaves.
//
// [TestServer] joins every fault into one error; [Run] makes a subtest of each
// check. Both ask the server a few dozen short requests, one over-long one and
// eight at once, in the OpenAI API or in one of Triton's shapes, and need it for
// themselves: other clients' requests upset the counts. Times are time.Duration, lengths are tokens.
//
// The suite measures nothing and starts no server. It refuses to guess: a check
// that the server gives no means for is skipped with the reason.
package sparktest
