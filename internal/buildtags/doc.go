// Package buildtags tells how the running binary was built, as constants, so
// that both branches of a decision always type-check.
package buildtags
