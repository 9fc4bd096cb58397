package run

import (
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// A host on which every task fails is the emptiest of all. The app goes elsewhere, past any number of such hosts, and so does the
// member of a database whose volume cannot be made there.
func TestABrokenHostIsLeft(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		w.m.with(func() { w.m.bad["node1"], w.m.bad["node2"] = true, true })
		w.put(web(1))
		w.pass(10 * time.Second)
		w.wantRunning("/web", "node3")
		w.put(cluster(3))
		w.pass(time.Minute)
		w.wantRunning("/pg", "node3", "node4", "node5")
		w.wantSettled()
	})
}

// Who can be nowhere else goes on trying, and who has failed everywhere goes around: a host that is well again is found, whether it
// is the emptiest or not.
func TestABrokenHostIsTriedAgain(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		w.m.with(func() { w.m.bad["node2"] = true })
		bound := web(1)
		bound.ID, bound.Constraints = "/bound", []app.Constraint{{Field: "hostname", Operator: app.OperatorCluster, Value: new("node2")}}
		w.put(bound)
		w.m.with(func() {
			for _, host := range []string{"node1", "node3", "node4", "node5"} {
				w.m.bad[host] = true
			}
		})
		w.put(web(1))
		w.pass(time.Minute)
		tried := slices.Sorted(slices.Values(w.m.triedBy("/web")))
		if got := slices.Compact(slices.Clone(tried)); len(got) != 5 || len(tried) < 6 {
			t.Errorf("tried are %v", tried)
		}
		w.m.with(func() { w.m.bad["node2"], w.m.bad["node4"] = false, false })
		w.pass(10 * time.Minute)
		w.wantRunning("/bound", "node2")
		if tasks := w.s.Tasks("/web"); len(tasks) != 1 || tasks[0].State != app.TaskRunning {
			t.Errorf("tasks: %v", tasks)
		}
		w.wantSettled()
	})
}
