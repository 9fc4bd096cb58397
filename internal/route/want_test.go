package route

import (
	"slices"
	"testing"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func TestOnlyNamesAreLookedUp(t *testing.T) {
	c := cluster.Cluster{Members: []cluster.Member{
		{Name: "n1", ConnURL: "postgres://127.0.0.11:5432/postgres", APIURL: "http://[::1]:8008/patroni"},
		{Name: "n2", ConnURL: "postgres://two.example:5432/postgres", APIURL: "http://api.example:8008/patroni"},
		{Name: "n3", ConnURL: "postgres://two.example:5433/postgres"},
		{Name: "n4"},
	}}
	if got, want := Hosts(c), []string{"api.example", "two.example"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadsFallBackToTheFirstWrites(t *testing.T) {
	all := services()
	if got := Fallback(all, all[2]); got != "writes" {
		t.Errorf("reads fall back to %q", got)
	}
	if got := Fallback(all, all[0]); got != "" {
		t.Errorf("writes fall back to %q", got)
	}
	if got := Fallback(all[1:], all[2]); got != "" {
		t.Errorf("without a service for writes, reads fall back to %q", got)
	}
}
