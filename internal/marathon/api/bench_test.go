package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// big is a scheduler with many apps, each a database with as many tasks.
func big(b *testing.B, apps, tasks int) *fake {
	b.Helper()
	u, err := app.Parse([]byte(`{"cpus": 1, "mem": 1024, "labels": {"env": "prod"}, "env": {"A": "1", "B": "2"},
		"networks": [{"mode": "container/bridge"}],
		"container": {"type": "DOCKER", "docker": {"image": "patroni:16"}, "portMappings": [{"containerPort": 5432}, {"containerPort": 8008}]},
		"healthChecks": [{"protocol": "HTTP", "path": "/health", "portIndex": 1}]}`))
	if err != nil {
		b.Fatal(err)
	}
	f := newFake()
	for n := range apps {
		id := app.ID(fmt.Sprintf("/group%d/app%d", n%10, n))
		f.apps[id] = u.New(id).Created(1000)
		for k := range tasks {
			instance := app.NewInstanceID(id, fmt.Sprintf("00000000-0000-0000-0000-%012d", k))
			f.tasks[id] = append(f.tasks[id], app.Task{
				ID: app.NewTaskID(instance, 1), AppID: id, Host: "node1", SlaveID: "agent-node1", Ports: app.Ports{31000, 31001},
				State: app.TaskRunning, StagedAt: 1000, StartedAt: 2000, Version: 1000, Role: "*",
				IPAddresses:        []app.IPAddress{{IPAddress: "10.0.0.1", Protocol: "IPv4"}},
				HealthCheckResults: []app.HealthResult{{Alive: true, FirstSuccess: 3000, LastSuccess: 4000, InstanceID: instance}},
			})
		}
	}
	return f
}

// BenchmarkAppsWithTasks is what a load balancer asks for after every event.
func BenchmarkAppsWithTasks(b *testing.B) {
	for _, tasks := range []int{1, 10} {
		for _, coding := range []string{"identity", "gzip"} {
			b.Run(fmt.Sprintf("tasks=%d/%s", 1000*tasks, coding), func(b *testing.B) {
				s := New(Config{Address: "127.0.0.1:8080"}, Backend{Scheduler: big(b, 1000, tasks)}, slog.New(slog.DiscardHandler))
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v2/apps?embed=apps.tasks", nil)
				r.Header.Set("Accept-Encoding", coding)
				b.ReportAllocs()
				for b.Loop() {
					rec := httptest.NewRecorder()
					rec.Body = nil
					s.ServeHTTP(rec, r)
					if rec.Code != http.StatusOK {
						b.Fatal(rec.Code)
					}
				}
			})
		}
	}
}
