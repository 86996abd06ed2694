package analysis

import "slices"

// BlockSlopes is the least-squares slope of Y on X (Gauss 1809) of every block, by
// the block's number: one effect per block, as the sign-flip test wants them. A block
// in which X does not vary, or with a value that is not finite, has none.
func BlockSlopes(points []Point) map[int]float64 {
	slopes := map[int]float64{}
	for _, block := range blocksOf(points) {
		var of moments
		var xs []float64
		sound := true
		for _, p := range points {
			if p.Block == block {
				of.add(1, p.X, p.Y)
				xs = append(xs, p.X)
				sound = sound && finite("", []float64{p.X, p.Y}) == nil
			}
		}
		if sound && slices.Min(xs) < slices.Max(xs) {
			_, slopes[block] = of.line()
		}
	}
	return slopes
}
