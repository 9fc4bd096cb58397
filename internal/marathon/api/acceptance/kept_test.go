package acceptance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// TestMesosVolumeBesideReservations says: of what is reserved for the role no volume can be made, for nothing is reserved twice. A
// member waits for room that nobody has reserved, and says so; it does not ask in vain again and again.
func TestMesosVolumeBesideReservations(t *testing.T) {
	withSchedulers(t, func(t *testing.T, r *removed) {
		a := fewMembers()
		a.CPUs, a.Instances, a.AcceptedResourceRoles = 4.5, 1, []string{"*", "shop"} // node4 has 4, and 1 for the role
		r.put(a)
		time.Sleep(30 * time.Second)
		waits := r.sched.Waits()
		if len(waits) != 1 || !strings.Contains(waits[0].Why, "node4: not enough cpus (4 free of the 4.5 it needs)") {
			t.Errorf("waits: %v", waits)
		}
		a.CPUs = 1
		r.put(a)
		time.Sleep(time.Minute)
		if tasks := r.sched.Tasks("/db"); len(tasks) != 1 || tasks[0].State != app.TaskRunning {
			t.Errorf("tasks: %v, waits: %v", tasks, r.sched.Waits())
		}
		r.stop()
	})
}

// TestMesosKeepsForVolumes says: what is kept with a volume whose member was stopped, or whose app was deleted, is nobody else's: who
// has room elsewhere goes there at once, and who has none says what is missing. A member that comes back has it all.
func TestMesosKeepsForVolumes(t *testing.T) {
	withSchedulers(t, func(t *testing.T, r *removed) {
		here := []app.Constraint{{Field: "hostname", Operator: app.OperatorCluster, Value: new("node1")}}
		a := fewMembers()
		a.CPUs, a.Instances, a.Constraints = 3, 1, here
		r.put(a)
		time.Sleep(30 * time.Second)
		r.scale(0)
		for _, kept := range []string{"its member is stopped", "its app is deleted"} {
			r.put(work("/roaming", 2, nil))
			r.put(work("/here", 2, here))
			time.Sleep(30 * time.Second)
			if tasks := r.sched.Tasks("/roaming"); len(tasks) != 1 || tasks[0].ID.Incarnation() != 1 || tasks[0].State != app.TaskRunning {
				t.Errorf("%s: roaming: %v", kept, tasks)
			}
			if waits := r.sched.Waits(); len(waits) != 1 || !strings.Contains(waits[0].Why, "node1: not enough cpus (1 free of the 2 it needs)") {
				t.Errorf("%s: waits: %v", kept, waits)
			}
			r.remove("/roaming", "/here", "/db")
			time.Sleep(30 * time.Second)
		}
		r.put(a)
		time.Sleep(30 * time.Second)
		if tasks := r.sched.Tasks("/db"); len(tasks) != 1 || tasks[0].Host != "node1" || tasks[0].State != app.TaskRunning {
			t.Errorf("the member: %v, waits: %v", tasks, r.sched.Waits())
		}
		r.stop()
	})
}

// work is a plain app of one instance.
func work(id app.ID, cpus float64, constraints []app.Constraint) app.App {
	return app.App{
		ID: id, Cmd: "work", CPUs: cpus, Mem: 64, Instances: 1, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300,
		AcceptedResourceRoles: []string{"*"}, Constraints: constraints, PortDefinitions: []app.PortDefinition{{Protocol: "tcp"}},
	}
}

func (r *removed) remove(ids ...app.ID) {
	r.t.Helper()
	_, err := r.sched.Apply(r.t.Context(), func(defs *app.Definitions) error {
		for _, id := range ids {
			delete(defs.Apps, id)
		}
		return nil
	}, app.ApplyOptions{Force: true})
	if err != nil {
		r.t.Fatal(err)
	}
}
