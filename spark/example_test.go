package spark_test

import (
	"context"
	"fmt"
	"os"

	"github.com/spark-harness/harness/spark"
)

// A program finds a server, or says why there is none, and reads its limits.
func Example() {
	// First in main, for StartEmulator: if exit, ok := spark.RunChild(os.Args); ok { os.Exit(exit) }
	ctx := context.Background()
	server, err := spark.Find(ctx, spark.Endpoint{APIKey: os.Getenv("OPENAI_API_KEY")}, []string{"http://127.0.0.1:1"})
	if err != nil {
		fmt.Println("no server on port 1")
		return
	}
	fmt.Println(server.Flavor, server.Endpoint.Model)
	if n := server.Facts.KVPoolTokens; n != nil {
		fmt.Println("its pool holds", *n, "tokens")
	}
	// Output: no server on port 1
}
