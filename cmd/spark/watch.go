package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/spark-harness/harness/hypotheses"
	"github.com/spark-harness/harness/hypotheses/watch"
)

// watchAddr is a flag whose value may be left out.
type watchAddr string

// IsBool lets the flag stand alone.
func (*watchAddr) IsBool() bool { return true }

// Decode reads --watch and --watch=ADDR.
func (a *watchAddr) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		*a = watch.DefaultAddr
		return nil
	}
	given := fmt.Sprint(ctx.Scan.Pop().Value)
	addr, err := watch.ParseAddr(given)
	*a = watchAddr(addr)
	return err
}

// show opens the live page at addr for everything that p will report; "" is
// none. A port that is taken is an error before anything is measured.
func show(addr string, p hypotheses.Progress) (hypotheses.Progress, func(), error) {
	if addr == "" {
		return p, func() {}, nil
	}
	return hypotheses.Watch(addr, p)
}
