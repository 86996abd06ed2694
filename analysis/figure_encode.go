package analysis

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"html"

	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG draws the figure as SVG: text stays text, in a sans-serif family, and no
// date or random name enters, so equal figures give equal bytes.
// ErrFigureEmpty when no value can be drawn; else only Validate's errors.
func (f Figure) SVG() ([]byte, error) {
	l, err := f.layout()
	if err != nil {
		return nil, err
	}
	c := vgsvg.New(l.width, l.height)
	l.drawOn(c)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("analysis: write SVG: %w", err)
	}
	// The backend names the font it measured with. Quotes in text are escaped,
	// so this prefix occurs in style attributes alone.
	const family = `style="font-family:Liberation Sans`
	svg := bytes.ReplaceAll(b.Bytes(), []byte(family+";"), []byte(family+",Arial,Helvetica,sans-serif;"))
	head := fmt.Sprintf("\n<title>%s</title>\n<desc>%s</desc>\n<g ", html.EscapeString(visible(f.Title)),
		html.EscapeString(visible(f.Subtitle)))
	return bytes.Replace(svg, []byte("\n<g "), []byte(head), 1), nil
}

// PNG draws the figure at dpi dots per inch, from 50 to 1200, and records the
// resolution in the file so that it is placed at its true width. Errors are
// those of SVG, and a dpi out of range.
func (f Figure) PNG(dpi int) ([]byte, error) {
	if dpi < 50 || dpi > 1200 {
		return nil, fmt.Errorf("analysis: draw PNG: %d dpi is out of range (50 to 1200)", dpi)
	}
	l, err := f.layout()
	if err != nil {
		return nil, err
	}
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(l.width, l.height), vgimg.UseDPI(dpi))}
	l.drawOn(c)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("analysis: write PNG: %w", err)
	}
	return withResolution(b.Bytes(), dpi), nil
}

// withResolution inserts a pHYs chunk (PNG specification, 11.3.4.3) behind the
// header chunk, which is always 25 bytes after the 8 of the signature.
func withResolution(png []byte, dpi int) []byte {
	const header = 8 + 25
	perMetre := uint32(float64(dpi)/0.0254 + 0.5)
	chunk := []byte("pHYs")
	chunk = binary.BigEndian.AppendUint32(chunk, perMetre)
	chunk = binary.BigEndian.AppendUint32(chunk, perMetre)
	chunk = append(chunk, 1) // the unit is the metre
	out := append([]byte(nil), png[:header]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(chunk)-4))
	out = append(out, chunk...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	return append(out, png[header:]...)
}
