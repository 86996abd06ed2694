package sysmon

import (
	"errors"
	"fmt"
	"math"
)

// probe is a source that may or may not exist on this machine.
type probe struct {
	cols []Column
	open func() (source, error)
}

func parsedProbe(path string, parse func([]byte, []float64) error) func() (source, error) {
	return func() (source, error) { return newParsed(path, parse) }
}

// absentProbe declares columns that are missing for a reason known beforehand.
func absentProbe(cols []Column, why string) probe {
	return probe{cols, func() (source, error) { return nil, errors.New(why) }}
}

// probes lists every source in the order of reading: the disk first, so that
// its counters lie closest to the row's instant.
func probes(c Config, cl clusters) []probe {
	var out []probe
	disk, inflight := diskColumns(), inflightColumns()
	if c.Device == "" {
		const why = "no device configured"
		out = append(out, absentProbe(disk, why), absentProbe(inflight, why))
	} else {
		out = append(out,
			probe{disk, func() (source, error) { return newDisk(c) }},
			probe{inflight, parsedProbe(c.sys("block", c.Device, "inflight"), parseInflight)})
	}
	out = append(out, serverProbes(c)...)
	out = append(out,
		probe{vmstatColumns(), parsedProbe(c.proc("vmstat"), parseVmstat())},
		probe{meminfoColumns(), parsedProbe(c.proc("meminfo"), parseMeminfo())},
		probe{statColumns(cl.names), parsedProbe(c.proc("stat"), (&statParser{cluster: cl.of}).parse)})
	for _, n := range pressureNames() {
		file := c.proc("pressure", n[1])
		out = append(out, probe{pressureColumns("psi_"+n[0], file), parsedProbe(file, parsePressure)})
	}
	return append(out, probe{selfColumns(), func() (source, error) { return &selfUsage{}, nil }})
}

func serverProbes(c Config) []probe {
	var out []probe
	for _, p := range cgroupSources(c) {
		if c.ServerCgroup == "" {
			p = absentProbe(p.cols, "no server cgroup configured")
		}
		out = append(out, p)
	}
	for _, p := range pidSources(c) {
		if c.ServerPID == 0 {
			p = absentProbe(p.cols, "no server process configured")
		}
		out = append(out, p)
	}
	return out
}

// opened is the set of sources that this machine has, with one raw vector.
type opened struct {
	sources []source
	spans   [][2]int // each source's slots in the vector
	cols    []Column // one per slot
	have    []bool   // slots that held a number when opened
	missing map[string]string
}

// openAll opens and reads every probe once. Only the source whose first column
// is mustHave has to be there.
func openAll(ps []probe, mustHave string) (*opened, error) {
	o := &opened{missing: absent()}
	for _, p := range ps {
		err := o.try(p)
		if err == nil {
			continue
		}
		if p.cols[0].Name == mustHave {
			return nil, errors.Join(err, o.close())
		}
		for _, c := range p.cols {
			o.missing[c.Name] = err.Error()
		}
	}
	return o, nil
}

// try opens one source and notes which of its columns hold numbers.
func (o *opened) try(p probe) error {
	src, err := p.open()
	if err != nil {
		return err
	}
	dst := make([]float64, len(p.cols))
	if err := src.read(dst); err != nil {
		return errors.Join(err, src.close())
	}
	start := len(o.cols)
	o.sources = append(o.sources, src)
	o.spans = append(o.spans, [2]int{start, start + len(p.cols)})
	o.cols = append(o.cols, p.cols...)
	for i, c := range p.cols {
		o.have = append(o.have, !math.IsNaN(dst[i]))
		if !math.IsNaN(dst[i]) {
			continue
		}
		o.missing[c.Name] = fmt.Sprintf("this kernel has no such field (%s)", c.Doc)
		if h, ok := src.(*hidden); ok && h.slot == i {
			o.missing[c.Name] = h.why.Error()
		}
	}
	return nil
}

func (o *opened) close() error {
	var errs []error
	for _, s := range o.sources {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
