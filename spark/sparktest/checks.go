package sparktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// checks is the suite. Names are stable: Options.Skip uses them.
func checks() []check {
	return []check{
		{"models", "a run must name the model that it measured", models},
		{"completions", "without a proper stream there is no first token and no success", completions},
		{"chat", "a first token must be told from a role, in the form that applications use", chat},
		{"whole", "streaming must change when tokens come, not which", whole},
		{"usage", "token counts come from the server, never from counting events", countsPrompts},
		{"max_tokens", "requests of unequal length cannot be compared", keepsLength},
		{"incremental", "a server or proxy that holds tokens back makes every latency the last one", incremental},
		{"pieces", "a text that is repeated in each event is counted many times", pieces},
		{"deterministic", "the same request must be the same work", deterministic},
		{"utf8", "a character must not be torn between events", unicode},
		{"concurrent", "load is many streams at once", concurrent},
		{"cancel", "a client that leaves at its deadline must not keep the server busy", cancels},
		{"metrics", "a server's own counters explain its latency only if they are right", metrics},
		{"unknown_model", "a typing error must not measure another model", unknownModel},
		{"bad_json", "a broken request is an error of the client, and the server goes on", badJSON},
		{"overlong", "a prompt that is cut in silence measures another length", overlong},
	}
}

func models(_ context.Context, s *suite) error {
	if !slices.Contains(s.server.Models, s.server.Endpoint.Model) {
		return fmt.Errorf("%q is not among %v", s.server.Endpoint.Model, s.server.Models)
	}
	return nil
}

func completions(ctx context.Context, s *suite) error {
	return s.streams(ctx, ask{prompt: words(12, 1), tokens: 8})
}

func chat(ctx context.Context, s *suite) error {
	return s.streams(ctx, ask{chat: true, prompt: words(12, 2), tokens: 8})
}

// streams asks in one form and wants a proper, counted answer; a server needs
// only one of the two forms.
func (s *suite) streams(ctx context.Context, a ask) error {
	st, err := s.send(ctx, a)
	if no, ok := errors.AsType[*refusal](err); ok && s.path(a) != s.path(s.ask("", 1)) &&
		slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, no.status) {
		return skipf("%s is not served", s.path(a))
	}
	if err != nil {
		return err
	}
	return errors.Join(st.proper(), st.counted(a.tokens, s.exact()))
}

// proper sends a request whose answer must be proper and counted.
func (s *suite) proper(ctx context.Context, a ask) (*stream, error) {
	st, err := s.send(ctx, a)
	if err != nil {
		return nil, err
	}
	return st, errors.Join(st.proper(), st.counted(a.tokens, s.exact()))
}

// countsPrompts wants the same count for the same prompt and a greater one for
// a longer prompt.
func countsPrompts(ctx context.Context, s *suite) error {
	var got [3]int
	for i, n := range []int{20, 20, 60} {
		st, err := s.proper(ctx, s.ask(words(n, 3), 4))
		if err != nil {
			return err
		}
		got[i] = st.usage.Prompt
	}
	if got[0] != got[1] {
		return fmt.Errorf("the same prompt counted %d and then %d tokens", got[0], got[1])
	}
	if got[2] < got[0]+20 {
		return fmt.Errorf("40 words more made %d tokens out of %d", got[2], got[0])
	}
	return nil
}

func keepsLength(ctx context.Context, s *suite) error {
	var faults []error
	for _, n := range []int{1, 2, 33} {
		st, err := s.proper(ctx, s.ask(words(10, 4), n))
		if err != nil {
			faults = append(faults, fmt.Errorf("max_tokens %d: %w", n, err))
			continue
		}
		if st.usage.Completion == n && s.exact() && st.finish != "length" && (st.finish != "" || st.shape == "") {
			faults = append(faults, fmt.Errorf("max_tokens %d: finish_reason is %q, not length", n, st.finish))
		}
	}
	return errors.Join(faults...)
}

// incremental wants the first of 64 tokens well before the end. Three tries,
// because a busy machine can hold up one.
func incremental(ctx context.Context, s *suite) error {
	var err error
	for range 3 {
		var st *stream
		if st, err = s.proper(ctx, s.ask(words(10, 5), 64)); err != nil {
			return err
		}
		if st.usage.Completion < 8 {
			return skipf("the answer has only %d tokens", st.usage.Completion)
		}
		if len(st.pieces) > 1 && st.last-st.first > st.end/5 {
			return nil
		}
		err = fmt.Errorf("%d tokens in %d events: the first came %v after the request, the last %v, the end %v", st.usage.Completion, len(st.pieces), st.first, st.last, st.end)
	}
	return err
}

// pieces wants each event to hold new text, not all text so far.
func pieces(ctx context.Context, s *suite) error {
	st, err := s.proper(ctx, s.ask(words(10, 6), 16))
	if err != nil {
		return err
	}
	if len(st.pieces) < 3 {
		return skipf("the answer came in %d events", len(st.pieces))
	}
	for i := 1; i < len(st.pieces); i++ {
		if !strings.HasPrefix(st.pieces[i], st.pieces[i-1]) || len(st.pieces[i]) == len(st.pieces[i-1]) {
			return nil
		}
	}
	return fmt.Errorf("each of %d events repeats the text so far", len(st.pieces))
}

// deterministic wants two of three answers alike: engines may round differently
// as batches change, but not always.
func deterministic(ctx context.Context, s *suite) error {
	var texts []string
	for range 3 {
		st, err := s.proper(ctx, s.ask(words(10, 7), 8))
		if err != nil {
			return err
		}
		if slices.Contains(texts, st.text.String()) {
			return nil
		}
		texts = append(texts, st.text.String())
	}
	return fmt.Errorf("three answers to one prompt at temperature 0 and one seed: %q", texts)
}

// unicode asks with characters of one to four bytes, combined and joined.
func unicode(ctx context.Context, s *suite) error {
	_, err := s.proper(ctx, s.ask("Größe, ναῦς, 東京, e\u0301, 👩‍🚀 and 𝒳: repeat 東京 👩‍🚀", 24))
	return err
}
