package export

import (
	"github.com/spark-harness/harness/loadgen"
)

// requestFields are the columns in order; docs/bundle.md tells of them.
func requestFields() []field {
	fields := []field{
		text("run", func(r request) string { return r.run }),
		text("arm", func(r request) string { return r.arm.Name }),
		number("block", func(r request) int64 { return int64(r.arm.Block) }),
		number("users", func(r request) int64 { return int64(r.arm.Users) }),
		number("context_tokens", func(r request) int64 { return int64(r.arm.ContextTokens) }),
		number("id", func(r request) int64 { return r.ID }),
		number("user", func(r request) int64 { return int64(r.User) }),
		number("turn", func(r request) int64 { return int64(r.Turn) }),
		text("phase", func(r request) string { return string(r.Phase) }),
		text("outcome", func(r request) string { return string(r.Outcome) }),
		optText("adapter", func(r request) string { return r.Adapter }),
	}
	fields = append(fields, instantFields()...)
	fields = append(fields, latencyFields()...)
	return append(fields, []field{
		optNumber("adapter_load_ns", func(r request) (int64, bool) {
			if r.AdapterLoad == nil {
				return 0, false
			}
			return int64(*r.AdapterLoad), true
		}),
		count("prompt_tokens_asked", func(r request) *int { return r.PromptTokensAsked }),
		count("prompt_tokens", func(r request) *int { return r.PromptTokens }),
		count("output_tokens", func(r request) *int { return r.OutputTokens }),
		count("cached_tokens", func(r request) *int { return r.CachedTokens }),
		flag("tokens_estimated", func(r request) bool { return r.TokensEstimated }),
		optNumber("status", func(r request) (int64, bool) { return int64(r.Status), r.Status != 0 }),
		optText("finish", func(r request) string { return r.Finish }),
		optText("error", func(r request) string { return r.Error }),
		flag("reused_conn", func(r request) bool { return r.ReusedConn }),
		optText("stamp", func(r request) string { return string(r.Stamp) }),
		number("in_bytes", func(r request) int64 { return r.BytesIn }),
		{&column{name: "event_ns", kind: typeInt64, list: true}, func(c *column, r request) {
			c.ints(len(r.Events), func(i int) int64 { return int64(r.Events[i].At) })
		}},
		{&column{name: "event_tokens", kind: typeInt64, list: true}, func(c *column, r request) {
			c.ints(len(r.Events), func(i int) int64 { return int64(r.Events[i].Tokens) })
		}},
	}...)
}

// instantFields are since the run's epoch, in ns.
func instantFields() []field {
	return []field{
		instant("due_ns", func(r request) loadgen.Instant { return r.Due }),
		instant("dispatched_ns", func(r request) loadgen.Instant { return r.Dispatched }),
		instant("written_ns", func(r request) loadgen.Instant { return r.Written }),
		instant("first_byte_ns", func(r request) loadgen.Instant { return r.FirstByte }),
		instant("header_ns", func(r request) loadgen.Instant { return r.Header }),
		instant("first_token_ns", func(r request) loadgen.Instant { return r.FirstToken }),
		instant("first_visible_ns", func(r request) loadgen.Instant { return r.FirstVisible }),
		instant("last_token_ns", func(r request) loadgen.Instant { return r.LastToken }),
		instant("close_ns", func(r request) loadgen.Instant { return r.Close }),
	}
}

// latencyFields are the latencies of docs/metrics.md, in ns, of every request
// that has both ends, however it ended.
func latencyFields() []field {
	return []field{
		latency("ttft_ns", func(r request) (to, from loadgen.Instant) { return r.FirstToken, r.Due }),
		latency("ttft_service_ns", func(r request) (to, from loadgen.Instant) { return r.FirstToken, r.Dispatched }),
		latency("ttft_visible_ns", func(r request) (to, from loadgen.Instant) { return r.FirstVisible, r.Due }),
		latency("ttfb_ns", func(r request) (to, from loadgen.Instant) { return r.FirstByte, r.Dispatched }),
		latency("e2e_ns", func(r request) (to, from loadgen.Instant) { return r.LastToken, r.Due }),
		latency("e2e_service_ns", func(r request) (to, from loadgen.Instant) { return r.LastToken, r.Dispatched }),
		latency("open_ns", func(r request) (to, from loadgen.Instant) { return r.Close, r.Dispatched }),
		latency("lag_ns", func(r request) (to, from loadgen.Instant) { return r.Dispatched, r.Due }),
	}
}

func number(name string, of func(request) int64) field {
	return field{&column{name: name, kind: typeInt64}, func(c *column, r request) { c.int(of(r)) }}
}

func text(name string, of func(request) string) field {
	return field{&column{name: name, kind: typeByteArray}, func(c *column, r request) { c.text(of(r)) }}
}

func flag(name string, of func(request) bool) field {
	return field{&column{name: name, kind: typeBoolean}, func(c *column, r request) { c.flag(of(r)) }}
}

func optNumber(name string, of func(request) (int64, bool)) field {
	return field{&column{name: name, kind: typeInt64, optional: true}, func(c *column, r request) {
		if v, ok := of(r); ok {
			c.int(v)
			return
		}
		c.absent()
	}}
}

func optText(name string, of func(request) string) field {
	return field{&column{name: name, kind: typeByteArray, optional: true}, func(c *column, r request) {
		if s := of(r); s != "" {
			c.text(s)
			return
		}
		c.absent()
	}}
}

func count(name string, of func(request) *int) field {
	return optNumber(name, func(r request) (int64, bool) {
		if p := of(r); p != nil {
			return int64(*p), true
		}
		return 0, false
	})
}

func instant(name string, of func(request) loadgen.Instant) field {
	return optNumber(name, func(r request) (int64, bool) {
		d, ok := of(r).Get()
		return int64(d), ok
	})
}

func latency(name string, of func(request) (to, from loadgen.Instant)) field {
	return optNumber(name, func(r request) (int64, bool) {
		to, from := of(r)
		d, ok := to.Sub(from)
		return int64(d), ok
	})
}
