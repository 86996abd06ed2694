package fioctl

import (
	"cmp"
	"math"
	"slices"
)

// merger makes one result of a document's jobs.
type merger struct {
	res          Result
	user, system float64 // percent of a millisecond
	wall         int64   // ms, of the longest job
	depth        map[int]float64
	ios          float64 // that depth counts
}

func (m *merger) add(s *scanner, j *job) {
	r := &m.res
	if r.Jobs++; r.Jobs == 1 || j.start.Before(r.JobStart) {
		r.JobStart = j.start
	}
	if r.Errno == 0 {
		r.Errno = int(j.errno)
	}
	r.Read.merge(s, &j.read)
	r.Write.merge(s, &j.write)
	wall := max(j.read.Runtime, j.write.Runtime, j.trim.Runtime).Milliseconds()
	if wall == 0 {
		wall = j.runtime
	}
	if j.runtime == 0 {
		j.runtime = wall
	}
	m.wall = max(m.wall, wall)
	m.user += j.user * float64(j.runtime)
	m.system += j.system * float64(j.runtime)
	ios := float64(j.read.IOs) + float64(j.write.IOs) + float64(j.trim.IOs)
	if m.ios += ios; ios == 0 {
		return
	}
	for depth, share := range j.depth {
		if m.depth == nil {
			m.depth = make(map[int]float64, len(j.depth))
		}
		m.depth[depth] += share * ios
	}
}

// result ends the merge. fio gives CPU time in percent of the threads' summed
// runtimes; cores are of the wall's.
func (m *merger) result() Result {
	if m.wall > 0 {
		m.res.UserCPU = m.user / 100 / float64(m.wall)
		m.res.SystemCPU = m.system / 100 / float64(m.wall)
	}
	for depth, sum := range m.depth {
		m.depth[depth] = sum / m.ios
	}
	m.res.DepthShare = m.depth
	return m.res
}

func (d *Direction) merge(s *scanner, o *Direction) {
	s.add(&d.Bytes, o.Bytes)
	s.add(&d.IOs, o.IOs)
	s.add(&d.Short, o.Short)
	s.add(&d.Dropped, o.Dropped)
	d.Runtime = max(d.Runtime, o.Runtime)
	d.Slat.merge(s, &o.Slat)
	d.Clat.merge(s, &o.Clat)
	d.Lat.merge(s, &o.Lat)
}

// merge adds o's samples. Mean and deviation are those of all samples together
// (Chan, Golub and LeVeque 1979, pairwise).
func (l *Latency) merge(s *scanner, o *Latency) {
	switch {
	case o.N == 0:
		return
	case l.N == 0:
		*l = *o
		return
	}
	a, b := float64(l.N), float64(o.N)
	delta := o.Mean - l.Mean
	squares := l.Stddev*l.Stddev*(a-1) + o.Stddev*o.Stddev*(b-1) + delta*delta*a*b/(a+b)
	l.Mean += delta * b / (a + b)
	l.Stddev = math.Sqrt(squares / (a + b - 1))
	l.Min, l.Max = min(l.Min, o.Min), max(l.Max, o.Max)
	s.add(&l.N, o.N)
	l.Percentiles = nil
	l.Bins = mergeBins(l.Bins, o.Bins)
}

// mergeBins is the bins of both, ascending, each value once.
func mergeBins(a, b []Bin) []Bin {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Bin) int { return cmp.Compare(x.Value, y.Value) })
	n := 0
	for _, bin := range all {
		if n > 0 && all[n-1].Value == bin.Value {
			all[n-1].Count += bin.Count
			continue
		}
		all[n] = bin
		n++
	}
	return all[:n]
}
