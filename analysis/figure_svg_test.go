package analysis

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// svgText is a printed string with its box, in points from the bottom left.
type svgText struct {
	s                        string
	left, right, bottom, top float64
}

// readSVG checks that svg is well-formed and that every number in it is finite,
// and returns its size and texts.
func readSVG(t *testing.T, svg []byte) (width, height float64, texts []svgText) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	size := regexp.MustCompile(`font-size:([0-9.]+)px`)
	var at *svgText
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return width, height, texts
		}
		require.NoError(t, err, "not well-formed")
		switch token := token.(type) {
		case xml.StartElement:
			attr := map[string]string{}
			for _, a := range token.Attr {
				attr[a.Name.Local] = a.Value
			}
			numbers := strings.Join([]string{attr["d"], attr["x"], attr["y"], attr["transform"], attr["width"], attr["height"], attr["viewBox"]}, " ")
			for n := range strings.FieldsFuncSeq(numbers, notNumber) {
				if v, err := strconv.ParseFloat(n, 64); err == nil && !(math.Abs(v) < 3000) { // words such as "scale" are no numbers, NaN is one
					require.Failf(t, "not finite, or off any page", "%s in %q", n, numbers)
				}
			}
			switch token.Name.Local {
			case "svg":
				width, height = toFloat(t, strings.TrimSuffix(attr["width"], "pt")), toFloat(t, strings.TrimSuffix(attr["height"], "pt"))
			case "text":
				em := toFloat(t, size.FindStringSubmatch(attr["style"])[1])
				x, y := toFloat(t, attr["x"]), -toFloat(t, attr["y"])
				at = &svgText{left: x, right: em, bottom: y - 0.1*em, top: y + 0.7*em} // right holds em until the text is known
				require.GreaterOrEqual(t, em, 7.0, "too small to read")
				require.Contains(t, attr["style"], "sans-serif")
				if strings.Contains(attr["style"], "bold") {
					at.right = -em
				}
			case "title", "desc", "g", "path":
			default:
				require.Failf(t, "an element that no figure has", "%s", token.Name.Local)
			}
		case xml.CharData:
			if at != nil {
				at.s = string(token)
				em, bold := math.Abs(at.right), at.right < 0
				at.right = at.left + float64(faceOf(fontLength(em), bold).Width(at.s))
				texts, at = append(texts, *at), nil
			}
		}
	}
}

// notNumber parts path data and transforms; letters of NaN, Inf and exponents
// belong to numbers.
func notNumber(r rune) bool { return !strings.ContainsRune("0123456789.+-eNaInf", r) }

func toFloat(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}

// requireLegible holds a figure to what a reader needs: no text over another
// and none cut by the edge of the page.
func requireLegible(t *testing.T, f Figure) []svgText {
	t.Helper()
	svg, err := f.SVG()
	require.NoError(t, err)
	width, height, texts := readSVG(t, svg)
	for i, a := range texts {
		require.GreaterOrEqual(t, a.left, 0.0, "%q is cut at the left", a.s)
		require.LessOrEqual(t, a.right, width+0.05, "%q is cut at the right", a.s)
		require.GreaterOrEqual(t, a.bottom, 0.0, "%q is cut at the bottom", a.s)
		require.LessOrEqual(t, a.top, height, "%q is cut at the top", a.s)
		for _, b := range texts[:i] {
			if apart := a.left >= b.right || b.left >= a.right || a.bottom >= b.top || b.bottom >= a.top; !apart {
				require.Failf(t, "texts overlap", "%q (%+v) and %q (%+v)", a.s, a, b.s, b)
			}
		}
	}
	return texts
}

// requireGolden compares with testdata/figures/name: text exactly, numbers
// within a hundredth of a point, because compilers may fuse multiplications on
// some machines. UPDATE_FIGURES=1 rewrites the file.
func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/figures/" + name
	if os.Getenv("UPDATE_FIGURES") != "" {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	number := regexp.MustCompile(`-?\d+\.\d+`)
	require.Equal(t, number.ReplaceAllString(string(want), "#"), number.ReplaceAllString(string(got), "#"))
	g, w := number.FindAllString(string(got), -1), number.FindAllString(string(want), -1)
	for i := range w {
		require.InDelta(t, toFloat(t, w[i]), toFloat(t, g[i]), 0.011)
	}
}
