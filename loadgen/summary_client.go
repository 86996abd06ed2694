package loadgen

import "maps"

// Client is what the load generator knows of its own part in the results.
type Client struct {
	// Lag is dispatched − due of all measured requests that were sent.
	Lag *Latency `json:"lag_ms,omitempty"`
	// Late counts lags above LateAfter; Dropped counts measured arrivals that
	// were never sent.
	Late    int64 `json:"late"`
	Dropped int64 `json:"dropped"`
	// Stamps counts measured responses by the clock that stamped them.
	Stamps map[StampSource]int64 `json:"stamps,omitempty"`
	// EventsPerRead is token-bearing events over the reads that brought them;
	// where it is above 1 some stamps are upper bounds. MergedShare is the share
	// of measured responses that had such a read.
	EventsPerRead *float64 `json:"events_per_read,omitempty"`
	MergedShare   *float64 `json:"merged_share,omitempty"`
	// ReusedShare is the share of sent measured requests that found an open
	// connection.
	ReusedShare *float64 `json:"reused_conn_share,omitempty"`
	// InBytes counts the bodies of the measured responses.
	InBytes int64 `json:"in_bytes"`
	// Process is what this process used, where the run read it.
	Process *Usage `json:"process,omitempty"`
}

type clientSums struct {
	late, sent, reused, inBytes     int64
	events, reads, streamed, merged int64
	stamps                          map[StampSource]int64
}

func newClientSums() clientSums { return clientSums{stamps: map[StampSource]int64{}} }

func (c *clientSums) add(r *Record) {
	c.inBytes += r.BytesIn
	if lag, ok := r.Dispatched.Sub(r.Due); ok {
		c.sent++
		if lag > LateAfter {
			c.late++
		}
		if r.ReusedConn {
			c.reused++
		}
	}
	if r.Stamp != "" {
		c.stamps[r.Stamp]++
	}
	if r.Reads > 0 && len(r.Events) > 0 {
		c.streamed++
		c.events += int64(len(r.Events))
		c.reads += int64(r.Reads)
		if r.Reads < len(r.Events) {
			c.merged++
		}
	}
}

func (c *clientSums) summary(lag *Hist, outcomes map[Outcome]int64) Client {
	return Client{
		Lag: lag.Summarize(0), Late: c.late, Dropped: outcomes[OutcomeDropped], InBytes: c.inBytes,
		EventsPerRead: share(c.events, c.reads), MergedShare: share(c.merged, c.streamed),
		ReusedShare: share(c.reused, c.sent), Stamps: maps.Clone(c.stamps),
	}
}

// share is part/whole, absent when there is no whole.
func share(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	return new(float64(part) / float64(whole))
}

// lengthSums adds up token counts of measured successes.
type lengthSums struct {
	input, inputN, output, outputN, estimated int64
	cached, cachedN, inputOff, outputOff      int64
}

func (l *lengthSums) add(r *Record, w Workload) {
	if n := r.PromptTokens; n != nil {
		l.input += int64(*n)
		l.inputN++
		if asked := r.PromptTokensAsked; asked != nil && *asked > 0 && off(*n, *asked) {
			l.inputOff++
		}
	}
	if n := r.CachedTokens; n != nil {
		l.cached += int64(*n)
		l.cachedN++
	}
	switch n := r.OutputTokens; {
	case n == nil:
	case r.TokensEstimated:
		l.estimated += int64(*n)
	default:
		l.output += int64(*n)
		l.outputN++
		if off(*n, w.OutputTokens) {
			l.outputOff++
		}
	}
}

func off(got, asked int) bool {
	return float64(abs(got-asked)) > lengthTolerance*float64(asked)
}

func (l *lengthSums) summary() Tokens {
	t := Tokens{
		Input: l.input, Output: l.output, Estimated: l.estimated,
		InputMean: share(l.input, l.inputN), OutputMean: share(l.output, l.outputN),
		InputOff: l.inputOff, OutputOff: l.outputOff,
	}
	if l.cachedN > 0 {
		t.Cached = new(l.cached)
	}
	return t
}
