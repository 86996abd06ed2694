// Package v25 reads result directories of the earlier Python and bash harness
// (v2.5) and turns what can be believed in them into tables, figures and
// benchmark lines.
//
// Every number that leaves the package is trusted, converted (and says how) or
// withheld (and says why); what is not to be believed is data, a list of
// Distrust. Units are those of the earlier harness's field names: ms, %, 1/s;
// MB are 10^6 bytes. Absent is NaN, never 0.
//
// It writes only under the directory it is given for that, never into the old
// one. No verdict made of such results is anything but INVALID: the earlier
// harness kept no record of single requests, and what it did to the disk cannot
// be proven any more.
//
// It refuses to guess: where the columns of iostat cannot be told apart, they
// are withheld; runs of different models or machines stand in groups of their
// own and are never averaged. All functions may be called concurrently, except
// that two Converts may not write to one directory.
package v25
