package sparktest_test

import (
	"context"
	"fmt"

	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/sparktest"
)

// A server's own test is a line: sparktest.Run(t, options). Outside of tests
// the faults come as one error.
func Example() {
	err := sparktest.TestServer(context.Background(), sparktest.Options{
		Endpoint: spark.Endpoint{URL: "http://127.0.0.1:1"},
		Skip:     map[string]string{"deterministic": "sampled on purpose"},
	})
	fmt.Println(err != nil)
	// Output: true
}
