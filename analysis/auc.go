package analysis

import (
	"fmt"
	"math"
)

// AUC is the chance that a score of a positive is above one of a negative, ties
// counting half: the area under the ROC curve, which is Mann and Whitney's U
// over the number of pairs (Hanley and McNeil 1982). 0.5 is no better than
// chance. ErrInput for unequal lengths, NaN or infinity, ErrDegenerate unless
// there are positives and negatives.
func AUC(score []float64, positive []bool) (float64, error) {
	if len(score) != len(positive) {
		return math.NaN(), fmt.Errorf("analysis: score auc: %w: %d scores and %d labels", ErrInput, len(score), len(positive))
	}
	if err := finite("score auc", score); err != nil {
		return math.NaN(), err
	}
	u, pairs := mannWhitney(score, positive)
	if pairs == 0 {
		return math.NaN(), fmt.Errorf("analysis: score auc: %w: all %d labels are alike", ErrDegenerate, len(score))
	}
	return u / pairs, nil
}

// mannWhitney is the number of pairs of a positive and a negative in which the
// positive scores higher, ties half, and the number of all such pairs.
func mannWhitney(score []float64, positive []bool) (u, pairs float64) {
	var sum, n float64
	for i, rank := range midRanks(score) {
		if positive[i] {
			sum += rank
			n++
		}
	}
	return sum - n*(n+1)/2, n * (float64(len(score)) - n)
}

// Scored is a group (a repeat) of scores with what they should have told.
type Scored struct {
	Score    []float64
	Positive []bool
}

// HeldOutAUC is how well a score tells in groups that it did not learn from.
type HeldOutAUC struct {
	// AUC is over all held-out scores together, so that a positive of one group
	// is also held against a negative of another: what one threshold for all
	// groups is worth.
	AUC float64
	// Within counts only pairs of one group: what a threshold of each group's
	// own is worth. NaN where no group has both labels.
	Within float64
	Groups int // with any score
}

// LeaveOneOutAUC holds out each group in turn: whether a high or a low score
// tells of a positive is learned from the other groups (their AUC, at least a
// half or not), and the held-out group is scored in that direction (leave one
// group out, Hastie, Tibshirani and Friedman 2009, 7.10). Direction is all that
// is learned, and a score without any relation gets a half or a little less on
// average. ErrTooFew for fewer than 2 groups, ErrDegenerate when all labels, or all
// of those outside one group, are alike, ErrInput as for AUC.
func LeaveOneOutAUC(groups []Scored) (HeldOutAUC, error) {
	none := HeldOutAUC{AUC: math.NaN(), Within: math.NaN()}
	var whole Scored
	var u, pairs float64
	n := 0
	for held, g := range groups {
		if len(g.Score) == 0 && len(g.Positive) == 0 {
			continue
		}
		n++
		var others Scored
		for i, o := range groups {
			if i != held {
				others.Score, others.Positive = append(others.Score, o.Score...), append(others.Positive, o.Positive...)
			}
		}
		if len(others.Score) == 0 {
			return none, fmt.Errorf("analysis: hold out groups: %w: one group, it needs 2", ErrTooFew)
		}
		learned, err := AUC(others.Score, others.Positive)
		if err != nil {
			return none, fmt.Errorf("analysis: hold out group %d: %w", held, err)
		}
		if len(g.Score) != len(g.Positive) {
			return none, fmt.Errorf("analysis: hold out group %d: %w: %d scores and %d labels", held, ErrInput, len(g.Score), len(g.Positive))
		}
		turned := make([]float64, len(g.Score))
		for i, s := range g.Score {
			if turned[i] = s; learned < 0.5 {
				turned[i] = -s
			}
		}
		more, of := mannWhitney(turned, g.Positive)
		u, pairs = u+more, pairs+of
		whole.Score, whole.Positive = append(whole.Score, turned...), append(whole.Positive, g.Positive...)
	}
	if n < 2 {
		return none, fmt.Errorf("analysis: hold out groups: %w: %d groups, it needs 2", ErrTooFew, n)
	}
	auc, err := AUC(whole.Score, whole.Positive)
	return HeldOutAUC{AUC: auc, Within: u / pairs, Groups: n}, err
}
