package sysmon

import "math"

// evaluator turns the changes of raw slots into derived columns. Formulas whose
// inputs this machine lacks are dropped when it is made.
type evaluator struct {
	kinds []Kind
	terms []term
	delta []float64 // per slot; NaN after a reset or a gap
}

// term is a formula with its names resolved to slots.
type term struct {
	op       op
	scale    float64
	num, den []int
}

// newEvaluator resolves what it can and adds a reason for the rest.
func newEvaluator(o *opened, fs []formula) (*evaluator, []Column) {
	slot := map[string]int{}
	for i, c := range o.cols {
		if o.have[i] {
			slot[c.Name] = i
		}
	}
	e := &evaluator{delta: make([]float64, len(o.cols))}
	for _, c := range o.cols {
		e.kinds = append(e.kinds, c.Kind)
	}
	var cols []Column
	for _, f := range fs {
		lack := ""
		resolve := func(names []string) (idx []int) {
			for _, n := range names {
				i, ok := slot[n]
				if !ok && lack == "" {
					lack = n
				}
				idx = append(idx, i)
			}
			return idx
		}
		t := term{f.op, f.scale, resolve(f.num), resolve(f.den)}
		if lack != "" {
			o.missing[f.Name] = "needs " + lack + ": " + o.missing[lack]
			continue
		}
		e.terms = append(e.terms, t)
		cols = append(cols, f.Column)
	}
	return e, cols
}

// change is cur − prev as the kind allows; ok is false when the counter ran
// backwards. A 32-bit wrap is a reset here: at one tick the two cannot be told
// apart with certainty, and one empty tick costs nothing. Windows recover it.
func change(kind Kind, prev, cur float64) (d float64, ok bool) {
	d = cur - prev
	if d >= 0 || d != d || kind == KindGauge {
		return d, true
	}
	if kind == KindSlack {
		return 0, true
	}
	return math.NaN(), false
}

// eval fills dst with the derived values of one tick of dt seconds and returns
// how many counters ran backwards.
func (e *evaluator) eval(prev, cur []float64, dt float64, dst []float64) (resets int) {
	for i, k := range e.kinds {
		d, ok := change(k, prev[i], cur[i])
		e.delta[i] = d
		if !ok {
			resets++
		}
	}
	for i, t := range e.terms {
		switch t.op {
		case opRate:
			dst[i] = t.scale * pick(e.delta, t.num) / dt
		case opRatio:
			dst[i] = math.NaN()
			if den := pick(e.delta, t.den); den > 0 {
				dst[i] = t.scale * pick(e.delta, t.num) / den
			}
		case opSum:
			dst[i] = t.scale * (pick(cur, t.num) - pick(cur, t.den))
		}
	}
	return resets
}

func pick(v []float64, idx []int) (sum float64) {
	for _, i := range idx {
		sum += v[i]
	}
	return sum
}
