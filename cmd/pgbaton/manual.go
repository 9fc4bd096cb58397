//go:build manual

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// With this tag the program writes the pages of its manual into a directory, instead of all else. Their date is
// SOURCE_DATE_EPOCH.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manual DIRECTORY")
		os.Exit(exitUsage)
	}
	root := newRoot()
	plain(root)
	header := doc.GenManHeader{Title: "PGBATON", Section: "1", Source: "pgbaton " + build, Manual: "pgbaton"}
	if err := doc.GenManTree(root, &header, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		os.Exit(exitFailure)
	}
}

// plain leaves out of all pages when and by what they were made.
func plain(c *cobra.Command) {
	c.DisableAutoGenTag = true
	for _, sub := range c.Commands() {
		plain(sub)
	}
}
