package fioctl

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// ErrNoBins: a latency has no buckets, because nothing was read, because fio ran
// without --output-format=json+, or because its percentiles were switched off.
var ErrNoBins = errors.New("latency without bins (fio needs --output-format=json+)")

// Latencies that Hist holds, in nanoseconds: fio's last bucket begins at 17 s.
const (
	histLowest  = int64(time.Nanosecond)
	histHighest = int64(time.Hour)
	histDigits  = 3
)

// Hist is the bins as an HDR histogram of nanoseconds, 1 ns to one hour, at 3
// significant digits: every bin's value is kept to 1/1000, fio's own error of
// 1/128 stays. HDR takes the rank nearest to q·n where fio rounds it up, so in
// small samples a quantile may lie one I/O apart; Quantile is fio's. It returns
// ErrNoBins without bins, and an error for values beyond an hour.
func (l Latency) Hist() (*hdr.Histogram, error) {
	if len(l.Bins) == 0 {
		return nil, fmt.Errorf("fioctl: %w", ErrNoBins)
	}
	h := hdr.New(histLowest, histHighest, histDigits)
	for _, b := range l.Bins {
		if b.Count < 0 || b.Count > math.MaxInt64-h.TotalCount() {
			return nil, fmt.Errorf("fioctl: bin %v holds %d I/Os", b.Value, b.Count)
		}
		if err := h.RecordValues(int64(b.Value), b.Count); err != nil {
			return nil, fmt.Errorf("fioctl: bin %v: %w", b.Value, err)
		}
	}
	return h, nil
}

// Quantile is the value of the bin in which the I/O of rank ⌈q·n⌉ fell, n being
// the sum of the bins: in a last document exactly what fio prints for the same
// percentile (calc_clat_percentiles in its stat.c). Without bins it is fio's own
// percentile, if fio printed that one. ok is false without either, and for q
// outside [0,1]; q = 0 is the least bin.
func (l Latency) Quantile(q float64) (d time.Duration, ok bool) {
	if !(q >= 0 && q <= 1) {
		return 0, false
	}
	n := uint64(0)
	for _, b := range l.Bins {
		if b.Count < 0 || n > math.MaxUint64-uint64(b.Count) {
			return 0, false
		}
		n += uint64(b.Count)
	}
	if n == 0 {
		d, ok = l.Percentiles[q]
		return d, ok
	}
	rank := fioRank(q, n)
	sum := uint64(0)
	for _, b := range l.Bins {
		if sum += uint64(b.Count); sum >= rank {
			return b.Value, true
		}
	}
	return l.Bins[len(l.Bins)-1].Value, true
}

// fioRank is the least sum of counts that fio lets reach a percentile: it holds
// sum against percent/100·n in C's long double. Where the product is whole its
// last bit decides, and depends on how the compiler (-ffast-math) arranged it;
// the exact product decides as fio does in all recordings.
func fioRank(q float64, n uint64) uint64 {
	percent := q * 100
	if p := math.Round(q*1e8) / 1e6; math.Abs(p-percent) < 1e-12*percent {
		percent = p // what fio read from "99.9"
	}
	x := new(big.Rat).SetFloat64(percent)
	x.Mul(x, new(big.Rat).SetFrac(new(big.Int).SetUint64(n), big.NewInt(100)))
	rank, rest := new(big.Int).QuoRem(x.Num(), x.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		rank.Add(rank, big.NewInt(1))
	}
	return rank.Uint64()
}
