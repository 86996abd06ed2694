package hypotheses

import (
	"cmp"

	"github.com/spark-harness/harness/hypotheses/watch"
)

// Watch opens the live page at addr and has p shown there, over every
// hypothesis that is executed with it. end must be called; it closes the page.
// Nothing has been measured when the address is refused.
func Watch(addr string, p Progress) (watched Progress, end func(), err error) {
	s, err := watch.Open(addr)
	if err != nil {
		return p, nil, err
	}
	p.Watch = s.Hub()
	p.logf("live page: %s (Prometheus: %smetrics)", s.URL(), s.URL())
	if s.Public() {
		p.logf("           WARNING: this address is not loopback: whoever reaches it sees the target and the curves; there is no password.")
	}
	return p, func() {
		if err := s.Close(); err != nil {
			p.logf("%v", err) // the page is no part of the measurement
		}
	}, nil
}

// watch opens a page for one hypothesis, where the user wants one and none is
// open.
func (c Config) watch(p Progress) (Progress, func(), error) {
	if c.HTTP == "" || p.Watch != nil {
		return p, func() {}, nil
	}
	return Watch(c.HTTP, p)
}

// watched is what is measured, for the page.
func (r *Rig) watched() watch.Target {
	m := r.man
	return watch.Target{
		URL: m.Target.URL, Model: m.Target.Model, Kind: r.target.kind, Emulated: r.target.kind == kindEmulator,
		Control: m.Control, Profile: r.Profile.Name, Endpoint: r.Profile.QuantileName(), Device: cmp.Or(r.device, "none"),
	}
}

// watched are the arms, for the page.
func watched(arms []Arm) []watch.Arm {
	var list []watch.Arm
	for _, a := range arms {
		list = append(list, watch.Arm{Name: a.Name, Block: a.Block, Users: a.Users, ContextTokens: a.ContextTokens})
	}
	return list
}

func ids(plan []Hypothesis) []string {
	var list []string
	for _, h := range plan {
		list = append(list, h.ID)
	}
	return list
}
