// Package smart reads what an NVMe disk counts of itself (the SMART / Health
// Information log, page 02h of the NVM Express Base Specification), together
// with what the kernel counts of the same disk at the same moment, so that one
// can be held against the other.
//
// One Data Unit is 1000 x 512 B = 512,000 B, rounded up by the drive. Counters
// are cumulative over the drive's life, 128 bits wide, and of the whole
// controller: other namespaces and commands that pass the block layer by are in
// them. Log pages are the only thing that is ever asked of a disk; nothing is
// written to it, no setting changed, no self-test started.
//
// A disk without such a log (virtio, SATA) has a named stand-in: the block
// layer's counters alone. A Snapshot says which source it came from and why the
// better ones did not do. Serial numbers are kept only as a hash.
package smart
