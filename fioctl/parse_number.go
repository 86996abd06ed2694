package fioctl

import (
	"math"
	"strconv"
)

// whole is the value of digits, if it is below 2⁶³. Programs that rewrite JSON
// may print a large count as a float: that is taken too.
func whole(b []byte) (int64, bool) {
	n := int64(0)
	for i, c := range b {
		if c < '0' || c > '9' {
			if i == 0 {
				return 0, false
			}
			v, err := strconv.ParseFloat(string(b), 64)
			if err != nil || !(v >= 0 && v < 1<<63) {
				return 0, false
			}
			return int64(v), true
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

// decimal is the value of "123.456000", as fio prints floats. It declines
// whatever it could not give exactly rounded: digits past 2⁵³, other notations.
func decimal(b []byte) (float64, bool) {
	mantissa, scale, point := int64(0), 1.0, false
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			mantissa = mantissa*10 + int64(c-'0')
			if mantissa > 1<<53 {
				return 0, false
			}
			if point {
				scale *= 10
			}
		case c == '.' && !point && i > 0:
			point = true
		default:
			return 0, false
		}
	}
	return float64(mantissa) / scale, true // both exact: scale is at most 10¹⁸
}
