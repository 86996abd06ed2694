package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// fileNumber is a float64 in a JSON file. JSON has no NaN and no infinity, and
// both mean something here: null is absent, "inf" and "-inf" are beyond every
// bound.
type fileNumber float64

// MarshalJSON keeps every digit, so that a number comes back as it was.
func (n fileNumber) MarshalJSON() ([]byte, error) {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-inf"`), nil
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (n *fileNumber) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null":
		*n = fileNumber(math.NaN())
	case `"inf"`:
		*n = fileNumber(math.Inf(1))
	case `"-inf"`:
		*n = fileNumber(math.Inf(-1))
	default:
		return json.Unmarshal(b, (*float64)(n))
	}
	return nil
}

// MarshalJSON writes a point as [x, value, lo, hi]: a figure has many.
func (p FigurePoint) MarshalJSON() ([]byte, error) {
	return json.Marshal([4]fileNumber{fileNumber(p.X), fileNumber(p.Value), fileNumber(p.Lo), fileNumber(p.Hi)})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *FigurePoint) UnmarshalJSON(b []byte) error {
	v, err := fileNumbers(b, 4)
	if err != nil {
		return fmt.Errorf("analysis: read point of a figure: %w", err)
	}
	*p = FigurePoint{X: v[0], Estimate: Estimate{Value: v[1], Lo: v[2], Hi: v[3]}}
	return nil
}

// fileNumbers reads a list of exactly n numbers.
func fileNumbers(b []byte, n int) ([]float64, error) {
	var list []*fileNumber
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	if len(list) != n {
		return nil, fmt.Errorf("%d numbers (want %d)", len(list), n)
	}
	out := make([]float64, n)
	for i, v := range list {
		out[i] = math.NaN() // a null in a list never reaches UnmarshalJSON
		if v != nil {
			out[i] = float64(*v)
		}
	}
	return out, nil
}

// fileTick and fileMarker are a tick and a marker as JSON has them.
type (
	fileTick struct {
		At         fileNumber
		Label, Sub string
	}
	fileMarker struct {
		Label         string
		Value, Lo, Hi fileNumber
		Color         FigureColor
		Line          FigureLine
	}
)

// MarshalJSON writes an absent place as null.
func (t FigureTick) MarshalJSON() ([]byte, error) {
	return json.Marshal(fileTick{fileNumber(t.At), t.Label, t.Sub})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (t *FigureTick) UnmarshalJSON(b []byte) error {
	f := fileTick{At: fileNumber(math.NaN())}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("analysis: read tick of a figure: %w", err)
	}
	*t = FigureTick{At: float64(f.At), Label: f.Label, Sub: f.Sub}
	return nil
}

// MarshalJSON writes an absent end of the interval as null.
func (m FigureMarker) MarshalJSON() ([]byte, error) {
	return json.Marshal(fileMarker{m.Label, fileNumber(m.At.Value), fileNumber(m.At.Lo), fileNumber(m.At.Hi), m.Color, m.Line})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (m *FigureMarker) UnmarshalJSON(b []byte) error {
	absent := fileNumber(math.NaN())
	f := fileMarker{Value: absent, Lo: absent, Hi: absent}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("analysis: read marker of a figure: %w", err)
	}
	at := Estimate{Value: float64(f.Value), Lo: float64(f.Lo), Hi: float64(f.Hi)}
	*m = FigureMarker{Label: f.Label, At: at, Color: f.Color, Line: f.Line}
	return nil
}
