package loadgen

// Outcome is how a request ended. Only OutcomeOK is a success; every other
// ending has a name of its own, so that a mix of failures stays visible.
type Outcome string

// The outcomes. OK needs a 2xx event stream, at least one token, no error
// event, a finish reason and the end mark. Triton has no end mark: there the clean
// end of a chunked body stands for both, and where the body is not chunked, a
// finish reason.
const (
	OutcomeOK Outcome = "ok"

	// Before a response.
	OutcomeRefused     Outcome = "refused"        // nobody listens there
	OutcomeUnreachable Outcome = "unreachable"    // no name, no route, no answer to connecting
	OutcomeTLS         Outcome = "tls"            // the handshake or the certificate failed
	OutcomeClientLimit Outcome = "client_limit"   // this process has no file or port left
	OutcomeReset       Outcome = "reset"          // the connection died before or within the response
	OutcomeHeader      Outcome = "timeout_header" // no response header within Target.HeaderTimeout
	OutcomeBadResponse Outcome = "bad_response"   // what came back is not HTTP

	// A response that is not a stream.
	OutcomeHTTP3xx        Outcome = "http_3xx"         // redirects are not followed
	OutcomeHTTP4xx        Outcome = "http_4xx"         // other than 429
	OutcomeHTTP429        Outcome = "http_429"         // refused for load
	OutcomeHTTP5xx        Outcome = "http_5xx"         // the server failed or refused for load
	OutcomeBadContentType Outcome = "bad_content_type" // 2xx but no plain event stream
	OutcomeUnknownAdapter Outcome = "unknown_adapter"  // the server does not know Record.Adapter
	OutcomeAdapterEvicted Outcome = "adapter_evicted"  // the server knew the adapter and dropped it

	// Within a stream.
	OutcomeStreamError     Outcome = "stream_error"     // the server reported an error after its 200
	OutcomeBadEvent        Outcome = "bad_event"        // an event that is no JSON of the dialect
	OutcomeTruncated       Outcome = "truncated"        // the body was cut
	OutcomeNoTokens        Outcome = "no_tokens"        // a proper end without any token
	OutcomeNoFinish        Outcome = "no_finish"        // tokens, but no finish reason (Triton: and no chunked body)
	OutcomeNoDone          Outcome = "no_done"          // a finish reason, but no end mark
	OutcomePromptTruncated Outcome = "prompt_truncated" // fine, but the server read only part of the prompt
	OutcomeIdle            Outcome = "timeout_idle"     // no token within Target.IdleTimeout
	OutcomeTotal           Outcome = "timeout_total"    // not over within Target.TotalTimeout

	// Of the run.
	OutcomeCancelled Outcome = "cancelled" // in flight when the run ended
	OutcomeDropped   Outcome = "dropped"   // due, but never sent: MaxInFlight held it until the run ended
)

// OK reports success.
func (o Outcome) OK() bool { return o == OutcomeOK }
