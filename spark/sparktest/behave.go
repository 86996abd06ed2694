package sparktest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/spark"
)

// words is a prompt of n short words that starts with its own topic, so that
// no two checks share a prefix.
func words(n, topic int) string {
	list := strings.Fields("river stone under morning light while seven small birds carry thread across the quiet field")
	b := []string{fmt.Sprintf("Topic %d:", topic)}
	for i := range n {
		b = append(b, list[i*(topic+1)%len(list)])
	}
	return strings.Join(b, " ")
}

// whole compares an answer in one piece with a streamed one.
func whole(ctx context.Context, s *suite) error {
	a := s.ask(words(10, 8), 8)
	st, err := s.proper(ctx, a)
	if err != nil {
		return err
	}
	a.whole = true
	resp, err := s.post(ctx, s.path(a), s.body(a))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStream))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return &refusal{resp.StatusCode, body}
	}
	if s.shape() != "" {
		return st.wholeTriton(body)
	}
	var got struct {
		Choices []struct {
			Finish  string `json:"finish_reason"`
			Text    string `json:"text"`
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
		Usage *usage `json:"usage"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("the answer is not JSON of the API: %w", err)
	}
	switch {
	case len(got.Choices) != 1:
		return fmt.Errorf("%d choices came, 1 was asked for", len(got.Choices))
	case got.Usage == nil || *got.Usage != *st.usage && s.exact():
		return fmt.Errorf("usage is %+v, streamed it was %+v", got.Usage, *st.usage)
	case got.Choices[0].Finish == "":
		return errors.New("no finish_reason came")
	case got.Choices[0].Text+got.Choices[0].Message.Content == "" && st.text.Len() > 0:
		return fmt.Errorf("no text came, streamed it was %q", st.text.String())
	}
	return nil
}

// concurrent runs eight streams at once; each must be proper and of its length.
func concurrent(ctx context.Context, s *suite) error {
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			if _, err := s.proper(ctx, s.ask(words(10+i, 20+i), 12+i)); err != nil {
				return fmt.Errorf("stream %d of 8: %w", i+1, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// cancels leaves in the middle of a long answer, after seeing the server busy
// with it, and wants it idle soon.
func cancels(ctx context.Context, s *suite) error {
	before, err := s.scrape(ctx)
	if err != nil {
		return err
	}
	if before.Running == nil {
		return skipf("the server does not tell how many requests run")
	}
	length := 4096
	if limit := s.server.Facts.MaxModelLen; limit != nil {
		length = max(1, min(length, int(*limit)/2))
	}
	if err := s.leave(ctx, s.ask(words(10, 9), length)); err != nil {
		return err
	}
	after, err := s.settle(ctx, func(c spark.Counters) bool { return c.Running != nil && *c.Running <= *before.Running })
	if errors.Is(err, errUnsettled) {
		return fmt.Errorf("%s requests still run %v after the client left (%s before)", number(after.Running), s.o.SettleWait, number(before.Running))
	}
	return err
}

// errUnsettled means that the counters never showed what was waited for.
var errUnsettled = errors.New("counters did not settle")

// settle reads the counters until they satisfy the test, or SettleWait is over.
func (s *suite) settle(ctx context.Context, test func(spark.Counters) bool) (spark.Counters, error) {
	deadline := time.Now().Add(s.o.SettleWait)
	for {
		c, err := s.scrape(ctx)
		switch {
		case err != nil:
			return c, err
		case test(c):
			return c, nil
		case time.Now().After(deadline):
			return c, errUnsettled
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// leave closes the connection at the first event of an answer.
func (s *suite) leave(ctx context.Context, a ask) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := s.post(ctx, s.path(a), s.body(a))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asked for %d tokens: status %d", a.tokens, resp.StatusCode)
	}
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the first event: %w", err)
	}
	return nil
}

func number(v *float64) string {
	if v == nil {
		return "an unknown number of"
	}
	return fmt.Sprint(*v)
}

// metrics wants the counter of generated tokens to grow by what was generated,
// and the server idle afterwards.
func metrics(ctx context.Context, s *suite) error {
	before, err := s.scrape(ctx)
	if err != nil {
		return err
	}
	if before.GenerationTokens == nil || before.Running == nil {
		return skipf("the server does not count generated tokens or running requests")
	}
	st, err := s.proper(ctx, s.ask(words(10, 10), 20))
	if err != nil {
		return err
	}
	want := float64(st.usage.Completion)
	after, err := s.settle(ctx, func(c spark.Counters) bool {
		grown := c.Since(before).GenerationTokens
		return grown != nil && *grown >= want && c.Running != nil && *c.Running == 0
	})
	if err != nil && !errors.Is(err, errUnsettled) {
		return err
	}
	if grown := after.Since(before).GenerationTokens; grown == nil || *grown != want {
		return fmt.Errorf("the counter grew by %s, %d tokens came (is the server used by others?)", number(grown), st.usage.Completion)
	}
	if err != nil {
		return fmt.Errorf("%s requests run on an idle server", number(after.Running))
	}
	return nil
}

func unknownModel(ctx context.Context, s *suite) error {
	switch s.server.Flavor {
	case spark.FlavorTRTLLM, spark.FlavorLlamaCPP:
		return skipf("%s serves one model whatever it is called", s.server.Flavor)
	}
	a := s.ask(words(5, 11), 2)
	a.model = "no-such-model"
	return s.refused(ctx, s.path(a), s.body(a))
}

// badJSON sends half a request and then wants a good one answered.
func badJSON(ctx context.Context, s *suite) error {
	a := s.ask(words(5, 12), 2)
	body := s.body(a)
	if err := s.refused(ctx, s.path(a), body[:len(body)/2]); err != nil {
		return err
	}
	if _, err := s.proper(ctx, a); err != nil {
		return fmt.Errorf("the next request: %w", err)
	}
	return nil
}

// overlong sends a prompt a quarter longer than the server can hold.
func overlong(ctx context.Context, s *suite) error {
	limit := s.server.Facts.MaxModelLen
	if limit == nil {
		return skipf("the server does not tell its context length")
	}
	if *limit > 1<<18 {
		return skipf("a context of %d tokens would take a prompt of megabytes", *limit)
	}
	const sample = 200
	st, err := s.proper(ctx, s.ask(words(sample, 13), 2))
	if err != nil {
		return err
	}
	n := int(*limit) * 5 / 4 * sample / st.usage.Prompt
	st, err = s.send(ctx, s.ask(words(n, 14), 2))
	if no, ok := errors.AsType[*refusal](err); ok {
		if s.shape() != "" && no.status == http.StatusInternalServerError {
			no.status = http.StatusBadRequest // what one of Triton's models refuses is internal to the server
		}
		return no.wellMade()
	}
	if err != nil {
		return err
	}
	if len(st.faults) > 0 && len(st.pieces) == 0 {
		return nil // reported in the stream
	}
	counted := "an unknown number of"
	if st.usage != nil {
		counted = fmt.Sprint(st.usage.Prompt)
	}
	return fmt.Errorf("a prompt of about %d tokens was accepted by a server for %d, and counted as %s tokens", int(*limit)*5/4, *limit, counted)
}
