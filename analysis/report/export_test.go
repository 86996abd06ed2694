package report

// Hostile is the hostile report, for the tests in a browser.
func Hostile() Report { return hostile() }
