package route

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

var names = []string{"n1", "n2", "n3", "n4"}

func drawPicture(t *rapid.T, label string) cluster.Cluster {
	var c cluster.Cluster
	c.Leader.Name = rapid.SampledFrom(append([]string{""}, names...)).Draw(t, label+" leader")
	for _, name := range names {
		if !rapid.Bool().Draw(t, label+" "+name) {
			continue
		}
		host := rapid.SampledFrom([]string{"127.0.0.1", "127.0.0.2", "::1", "unknown.example"}).Draw(t, "host")
		c.Members = append(c.Members, cluster.Member{
			Name:             name,
			ConnURL:          "postgres://" + cluster.HostPort(host, 5432) + "/postgres",
			APIURL:           rapid.SampledFrom([]string{"http://127.0.0.1:8008/patroni", "http://127.0.0.2:8008/patroni", ""}).Draw(t, "api"),
			Role:             rapid.SampledFrom([]cluster.Role{cluster.RolePrimary, cluster.RoleReplica, cluster.RoleDemoted, ""}).Draw(t, "role"),
			State:            rapid.SampledFrom([]cluster.State{cluster.StateRunning, cluster.StateStarting, cluster.StateUnknown}).Draw(t, "state"),
			ReplicationState: rapid.SampledFrom([]string{"", cluster.ReplicationStreaming}).Draw(t, "replication"),
		})
	}
	return c
}

// drawSeen is any HAProxy at all, also one that nothing of ours could have left behind.
func drawSeen(t *rapid.T) Seen {
	var seen Seen
	for _, s := range services() {
		for _, name := range names {
			if !rapid.Bool().Draw(t, "has "+s.Name+"/"+name) {
				continue
			}
			address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, rapid.Uint8Range(1, 2).Draw(t, "address")}), 5432)
			seen.Servers = append(seen.Servers, SeenServer{
				Service: s.Name, Name: name, Address: address, Check: netip.AddrPortFrom(address.Addr(), 8008),
				Up: rapid.Bool().Draw(t, "up"), Ready: rapid.Bool().Draw(t, "ready"), Sessions: rapid.IntRange(0, 2).Draw(t, "sessions"),
			})
		}
	}
	return seen
}

func up(seen Seen, service string) int {
	n := 0
	for _, x := range seen.Servers {
		if x.Service == service && x.Up {
			n++
		}
	}
	return n
}

// whole says that every server left to do something about is a whole one.
func whole(w Wanted, seen Seen) bool {
	return !slices.ContainsFunc(seen.Servers, func(x SeenServer) bool {
		s, ok := w.backend(x.Service).server(x.Name)
		return !x.Ready && (!ok || s.Address.IsValid())
	})
}

func TestAtMostOneServerOfAnExclusiveServiceIsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told, wanted := Want(drawPicture(t, "told"), services(), nil), Want(drawPicture(t, "wanted"), services(), nil)
		seen := drawSeen(t)
		for _, s := range services()[:2] {
			state, most := seen, max(up(seen, s.Name), 1)
			for _, c := range Diff(told, wanted, seen) {
				state = apply(state, c)
				if n := up(state, s.Name); n > most {
					t.Fatalf("%d servers of %s are up after: %s", n, s.Name, c)
				}
				most = max(min(most, up(state, s.Name)), 1)
			}
			if n := up(state, s.Name); n > 1 {
				t.Fatalf("%d servers of %s are up in the end", n, s.Name)
			}
		}
	})
}

func TestOnlyTheHolderOfTheKeyIsUpForWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		picture := drawPicture(t, "wanted")
		wanted, seen := Want(picture, services(), nil), drawSeen(t)
		for _, c := range Diff(Wanted{}, wanted, seen) {
			seen = apply(seen, c)
		}
		for _, x := range seen.Servers {
			if x.Service != "reads" && x.Up && x.Name != picture.Leader.Name {
				t.Fatalf("%s/%s is up, %q holds the key", x.Service, x.Name, picture.Leader.Name)
			}
		}
	})
}

func TestWhatWasCarriedOutIsNotDoneAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told, wanted := Want(drawPicture(t, "told"), services(), nil), Want(drawPicture(t, "wanted"), services(), nil)
		seen := drawSeen(t)
		for _, c := range Diff(told, wanted, seen) {
			seen = apply(seen, c)
		}
		if again := Diff(wanted, wanted, seen); len(again) > 0 {
			t.Fatalf("left to do: %v", again)
		}
		if !whole(wanted, seen) {
			t.Fatalf("a server without checks is left: %+v", seen)
		}
	})
}

// Stopping anywhere and beginning again without the memory, as after a failed command, ends where an
// undisturbed run ends, but for the servers that are left to the checks.
func TestAnInterruptedRunIsFinishedByTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted, seen := Want(drawPicture(t, "wanted"), services(), nil), drawSeen(t)
		straight, broken := seen, seen
		changes := Diff(Wanted{}, wanted, seen)
		for _, c := range changes {
			straight = apply(straight, c)
		}
		for _, c := range changes[:rapid.IntRange(0, len(changes)).Draw(t, "stop after")] {
			broken = apply(broken, c)
		}
		for _, c := range Diff(Wanted{}, wanted, broken) {
			broken = apply(broken, c)
		}
		surely := cmpopts.IgnoreSliceElements(func(x SeenServer) bool {
			s, _ := wanted.backend(x.Service).server(x.Name)
			return s.Health == Checked
		})
		if diff := cmp.Diff(straight, broken, surely, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAnUnreadablePictureTakesNothingAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told, seen := Want(drawPicture(t, "told"), services(), nil), drawSeen(t)
		for _, c := range Diff(Wanted{}, told, seen) {
			seen = apply(seen, c)
		}
		for i := range seen.Servers {
			seen.Servers[i].Up = rapid.Bool().Draw(t, "the check passes")
		}
		if changes := Diff(told, told.Unsure(), seen); len(changes) > 0 {
			t.Fatalf("did %v", changes)
		}
	})
}

func TestWantAndDiffChangeNoArgument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		picture, seen := drawPicture(t, "wanted"), drawSeen(t)
		wanted := Want(picture, services(), nil)
		before := fmt.Sprint(picture, wanted, seen)
		_ = Want(picture, services(), nil)
		_ = Diff(wanted.Unsure(), wanted, seen)
		if after := fmt.Sprint(picture, wanted, seen); after != before {
			t.Fatalf("before %s\nafter  %s", before, after)
		}
	})
}
