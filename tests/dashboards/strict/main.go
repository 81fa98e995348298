// Strict decodes dashboards by Grafana's own types: a key that Grafana does not know, a value of
// another type and a broken constraint are mistakes.
//
//	strict FILE...
//
// The SDK has no types for the PostgreSQL source, so its queries pass as they are; test_files.py looks at
// them.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: strict FILE...")
		os.Exit(2)
	}
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			failed = true
			continue
		}
		fmt.Printf("%s: ok\n", file)
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	var found cog.BuildErrors
	// Without a mistake the decoder gives an empty list rather than none.
	for _, err := range []error{board.UnmarshalJSONStrict(text), board.Validate()} {
		var several cog.BuildErrors
		switch {
		case errors.As(err, &several):
			found = append(found, several...)
		case err != nil:
			return err
		}
	}
	if len(found) > 0 {
		return found
	}
	return nil
}
