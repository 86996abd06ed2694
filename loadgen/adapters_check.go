package loadgen

import (
	"context"
	"errors"
	"fmt"
)

const (
	// checkPrompt has no short answer that every model would give alike.
	checkPrompt = "Write a long story about a lighthouse keeper who finds an old map, and tell every day of the journey in detail."
	checkTokens = 32
	// checkEnough is how many tokens an answer needs to be compared: equal short
	// ones, where a model may end when it likes, say nothing.
	checkEnough = 16
)

// AdapterCheck is what a server answered to one prompt under several adapters,
// at temperature 0.
type AdapterCheck struct {
	Answers []AdapterAnswer `json:"answers"` // the base model's first, if it could be asked
	// Compared is how many of them were whole and long enough to be compared; with
	// fewer than 2 nothing is known about Ignored.
	Compared int `json:"compared"`
	// Ignored says that two adapters, or an adapter and the base model, gave
	// byte-identical answers: the server does not apply what it is asked for.
	Ignored bool `json:"ignored"`
}

// AdapterAnswer is one of them.
type AdapterAnswer struct {
	Adapter string  `json:"adapter"` // "" is the base model
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"`
	Hash    Hash    `json:"hash"`
	Tokens  int     `json:"tokens"`
}

// comparable reports whether an answer says anything about its adapter.
func (a AdapterAnswer) comparable() bool {
	return a.Outcome.OK() && a.Tokens >= checkEnough && a.Hash != 0 && a.Hash != hashText("")
}

// CheckAdapters asks t one prompt for the base model and for each adapter of the
// list, at temperature 0, one after the other, and compares the answers. It asks
// for 32 tokens, and takes answers of fewer than 16 for too short to compare.
// Adapters that the server does not know show in their Outcome; a base model
// that cannot be asked is left out. The error is for a target or list that is
// invalid and for a context that ends.
//
// The requests load the adapters: what is to be measured cold must be made cold
// after it.
func CheckAdapters(ctx context.Context, t Target, list []Adapter) (AdapterCheck, error) {
	if err := errors.Join(t.Validate(), checkList(list)); err != nil {
		return AdapterCheck{}, err
	}
	if t.TotalTimeout == 0 {
		t.TotalTimeout = probeTimeout
	}
	w := Workload{Prompts: []string{checkPrompt}, OutputTokens: checkTokens, Adapters: Adapters{List: list}}
	c, err := newClient(context.WithoutCancel(ctx), t, w, nil)
	if err != nil {
		return AdapterCheck{}, err
	}
	defer c.close()
	var (
		check AdapterCheck
		seen  = map[Hash]bool{}
		asker = worker{c: c}
	)
	for i := -1; i < len(list); i++ {
		a := asker.answer(ctx, w.Prompt(0, 0, 0, Calibration{}), i)
		if ctx.Err() != nil {
			return check, fmt.Errorf("loadgen: check adapters: %w", context.Cause(ctx))
		}
		if i < 0 && !a.Outcome.OK() {
			continue
		}
		check.Answers = append(check.Answers, a)
		if a.comparable() {
			check.Compared++
			check.Ignored = check.Ignored || seen[a.Hash]
			seen[a.Hash] = true
		}
	}
	return check, nil
}

// answer asks one prompt for the adapter at a place of the list, -1 for the base
// model.
func (w *worker) answer(ctx context.Context, prompt PromptText, adapter int) AdapterAnswer {
	rec := &Record{}
	w.send(ctx, rec, prompt, adapter)
	a := AdapterAnswer{Adapter: rec.Adapter, Outcome: rec.Outcome, Error: rec.Error, Hash: rec.AnswerHash}
	if rec.OutputTokens != nil {
		a.Tokens = *rec.OutputTokens
	}
	return a
}

// checkList reports the faults of a list of adapters, and an empty one.
func checkList(list []Adapter) error {
	if len(list) == 0 {
		return errors.New("loadgen: check adapters: the list is empty (name at least one)")
	}
	var errs []error
	for _, f := range adapterFaults(list) {
		errs = append(errs, fmt.Errorf("loadgen: check adapters: adapter %d: %s", f.place+1, f.text))
	}
	return errors.Join(errs...)
}
