package main

import (
	"fmt"
	"os"

	"github.com/pgbaton/pgbaton/internal/service"
)

// firstProcess is the number of the process that a container begins with.
const firstProcess = 1

// begin runs the program. Where this is the first process of a container, another one does the work and this one the
// duties of the first (see package service).
func begin() int {
	if os.Getpid() != firstProcess {
		return execute(os.Args[0], os.Args[1:])
	}
	path, err := os.Executable()
	if err == nil {
		var code int
		if code, err = service.Parent(path, os.Args, os.Environ()); err == nil {
			return code
		}
	}
	fmt.Fprintf(os.Stderr, "Error: %s\n", err)
	return exitFailure
}
