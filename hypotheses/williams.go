package hypotheses

import "math/rand/v2"

// williams orders k treatments for so many blocks: rows of Williams squares,
// in which every treatment follows every other equally often, so that what one
// leaves behind weighs on all alike (Williams 1949). An odd k takes a square
// and its mirror image. Which treatment is which letter, and the order of the
// rows, are drawn anew for every square.
func williams(k, blocks int, rng *rand.Rand) [][]int {
	var order [][]int
	for len(order) < blocks {
		letters := rng.Perm(k)
		rows := square(k)
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, row := range rows[:min(len(rows), blocks-len(order))] {
			dealt := make([]int, k)
			for i, letter := range row {
				dealt[i] = letters[letter]
			}
			order = append(order, dealt)
		}
	}
	return order
}

// square is the least balanced set of rows: k for an even k, 2k for an odd one.
func square(k int) [][]int {
	first := make([]int, k) // 0, 1, k−1, 2, k−2, …
	for i := 1; i < k; i++ {
		first[i] = (i + 1) / 2
		if i%2 == 0 {
			first[i] = k - i/2
		}
	}
	var rows [][]int
	for shift := range k {
		row := make([]int, k)
		for i, v := range first {
			row[i] = (v + shift) % k
		}
		rows = append(rows, row)
	}
	if k%2 == 0 {
		return rows
	}
	for _, row := range rows[:k:k] {
		mirror := make([]int, k)
		for i, v := range row {
			mirror[k-1-i] = v
		}
		rows = append(rows, mirror)
	}
	return rows
}
