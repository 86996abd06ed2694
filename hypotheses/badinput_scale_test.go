//go:build scale

package hypotheses

import "testing"

// The whole matrix: every row against every hypothesis, drawn and written.
//
//	go test -tags scale -run TestBadInputOfAll ./hypotheses
func TestBadInputOfAll(t *testing.T) {
	for _, h := range All() {
		for _, bad := range badInputs() {
			t.Run(h.ID+" "+bad.name, func(t *testing.T) {
				t.Parallel()
				dir, ok := spoilt(t, h.ID, bad)
				if !ok {
					t.Skip("no run of it was recorded")
				}
				judgeSpoilt(t, h, dir, bad, true)
			})
		}
	}
}
