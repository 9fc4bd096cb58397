package storm

import (
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
)

// mutant is a deliberate mistake. The zero mutant is the product as it is.
type mutant struct {
	name, about string
	driver      func(*world, port) driver.Driver
	store       func(*world, kv.Store) kv.Store
	members     func(*world, run.Members) run.Members
}

func findMutant(name string) mutant {
	for _, m := range mutants() {
		if m.name == name {
			return m
		}
	}
	return mutant{}
}

func mutants() []mutant { return nil }
