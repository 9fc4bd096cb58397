package wire_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

func scalar(name string, amount float64) wire.Resource {
	return wire.Resource{Name: name, Type: wire.TypeScalar, Scalar: wire.Amount(amount)}
}

func ports(begin, end int) wire.Resource {
	return wire.Resource{Name: "ports", Type: wire.TypeRanges, Ranges: &wire.Ranges{Range: []wire.Range{{Begin: begin, End: end}}}}
}

func by(label string) wire.Reservation {
	return wire.Reservation{Type: "DYNAMIC", Role: "web", Labels: &wire.Labels{Labels: []wire.Label{{Key: "instance", Value: label}}}}
}

// What was taken away and put back is what there was, whatever else was taken between.
func TestWhatIsTakenAndGivenBackIsThereAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []wire.Resource{scalar("cpus", 8), scalar("mem", 4096), ports(31000, 31099)}
		pool, given := all, []wire.Resource{}
		for n := range rapid.IntRange(1, 20).Draw(t, "steps") {
			if len(given) > 0 && rapid.Bool().Draw(t, "back") {
				pool = wire.Add(pool, given[0])
				given = given[1:]
				continue
			}
			want := []wire.Resource{
				scalar("cpus", float64(rapid.IntRange(1, 3000).Draw(t, "milli"))/1000), ports(31000+5*n, 31000+5*n+rapid.IntRange(0, 4).Draw(t, "width")),
			}[rapid.IntRange(0, 1).Draw(t, "which")]
			left, ok := wire.Subtract(pool, want)
			if ok {
				pool, given = left, append(given, want)
			}
		}
		if diff := cmp.Diff(sums(all), sums(wire.Add(pool, given...))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// sums are resources by their identity.
func sums(list []wire.Resource) map[string]string {
	all := map[string]string{}
	for _, r := range wire.Add(nil, list...) {
		all[r.Name] = fmt.Sprint(r.Scalar, r.Ranges)
	}
	return all
}

func TestReservationsTellResourcesApart(t *testing.T) {
	mine := wire.Reserved([]wire.Resource{scalar("cpus", 2)}, by("a"))
	pool := wire.Add([]wire.Resource{scalar("cpus", 3)}, mine...)
	if len(pool) != 2 {
		t.Fatalf("free and reserved cpus are one: %+v", pool)
	}
	if _, ok := wire.Subtract(pool, wire.Reserved([]wire.Resource{scalar("cpus", 1)}, by("b"))...); ok {
		t.Error("what is reserved for a was taken for b")
	}
	if _, ok := wire.Subtract(pool, scalar("cpus", 4)); ok {
		t.Error("what is reserved was taken as free")
	}
	free, ok := wire.Unreserved(mine)
	if !ok || len(wire.Add([]wire.Resource{scalar("cpus", 3)}, free...)) != 1 {
		t.Errorf("not reserved any more: %+v, %v", free, ok)
	}
	if _, ok := wire.Unreserved(free); ok {
		t.Error("a reservation that is not there was taken off")
	}
}

func TestVolumesAreTakenWhole(t *testing.T) {
	volume := wire.Reserved([]wire.Resource{scalar("disk", 100)}, by("a"))[0]
	volume.Disk = &wire.Disk{Persistence: &wire.Persistence{ID: "v1"}, Volume: &wire.Volume{Mode: "RW", ContainerPath: "data"}}
	part := volume
	part.Scalar = wire.Amount(50)
	if _, ok := wire.Subtract([]wire.Resource{volume}, part); ok {
		t.Error("half a volume was taken")
	}
	left, ok := wire.Subtract([]wire.Resource{volume}, wire.Allocated([]wire.Resource{volume}, "web")...)
	if !ok || len(left) != 0 {
		t.Errorf("left %+v, %v", left, ok)
	}
}
