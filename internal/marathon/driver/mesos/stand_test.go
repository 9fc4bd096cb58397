package mesos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// recorder stands between the driver and the master and writes down what is called.
type recorder struct {
	server *httptest.Server

	mu    sync.Mutex
	calls [][]byte
}

func record(t *testing.T, m *mesostest.Master) *recorder {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: m.Address()})
	proxy.FlushInterval = -1
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r := &recorder{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.calls = append(r.calls, body)
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *recorder) address() string { return strings.TrimPrefix(r.server.URL, "http://") }

// of are the calls of a kind so far.
func (r *recorder) of(kind wire.CallType) []wire.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []wire.Call
	for _, body := range r.calls {
		var c wire.Call
		if json.Unmarshal(body, &c) == nil && c.Type == kind {
			list = append(list, c)
		}
	}
	return list
}

// stand is a driver over a master whose tasks are played.
type stand struct {
	t      *testing.T
	master *mesostest.Master
	calls  *recorder
	*mesos.Driver
	framework string
	kept      []driver.Event
}

const role = "web"

func hosts(names ...string) mesostest.Config {
	var c mesostest.Config
	for _, name := range names {
		c.Agents = append(c.Agents, mesostest.AgentConfig{Hostname: name, IP: "127.0.0.1", Resources: mesostest.Machine(4, 4096, 20000, 31000, 31099)})
	}
	return c
}

func setUp(t *testing.T, c mesostest.Config) *stand {
	t.Helper()
	m := mesostest.New(t, c)
	s := &stand{t: t, master: m, calls: record(t, m)}
	s.open(nil)
	return s
}

func (s *stand) open(change func(*mesos.Config)) {
	s.t.Helper()
	s.begin(change)
}

// inherit opens a driver that is the heir of another framework.
func (s *stand) inherit(former string) {
	s.t.Helper()
	s.begin(nil, former)
}

func (s *stand) begin(change func(*mesos.Config), former ...string) {
	s.t.Helper()
	cfg := mesos.Config{Masters: []string{s.calls.address()}, Role: role, LeastPause: time.Millisecond, MostPause: 20 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	d, err := mesos.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.Driver = d
	d.Inherit(former)
	s.t.Cleanup(func() { _ = d.Close() })
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if s.framework, err = d.Subscribe(ctx, s.framework); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) reopen() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.kept = nil
	s.open(nil)
}

// await is the next event of which something holds. Others are kept.
func (s *stand) await(what string, good func(driver.Event) bool) driver.Event {
	s.t.Helper()
	for i, e := range s.kept {
		if good(e) {
			s.kept = append(s.kept[:i:i], s.kept[i+1:]...)
			return e
		}
	}
	timeout := time.After(10 * time.Second)
	for {
		select {
		case e, open := <-s.Events():
			if !open {
				s.t.Fatalf("the events ended before %s", what)
			}
			if changed, ok := e.(driver.StatusChanged); ok {
				if err := s.Ack(s.t.Context(), changed.Status); err != nil {
					s.t.Logf("acknowledge: %v", err)
				}
			}
			if good(e) {
				return e
			}
			s.kept = append(s.kept, e)
		case <-timeout:
			s.t.Fatalf("%s did not happen, but %v", what, s.kept)
		}
	}
}

// state waits for a state of a task.
func (s *stand) state(task app.TaskID, state app.TaskState) driver.Status {
	s.t.Helper()
	var got driver.Status
	s.await(string(task)+" "+string(state), func(e driver.Event) bool {
		changed, ok := e.(driver.StatusChanged)
		got = changed.Status
		return ok && got.Task == task && got.State == state
	})
	return got
}

// volume waits for a word about a volume.
func (s *stand) volume(id string, there bool) driver.VolumeChanged {
	s.t.Helper()
	var got driver.VolumeChanged
	s.await("volume "+id, func(e driver.Event) bool {
		changed, ok := e.(driver.VolumeChanged)
		got = changed
		return ok && got.Volume.ID == id && got.There == there
	})
	return got
}

// offer waits for an offer of which something holds.
func (s *stand) offer(what string, good func(place.Offer) bool) place.Offer {
	s.t.Helper()
	var found place.Offer
	look := func(driver.Event) bool {
		offers, err := s.Offers(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range offers {
			if good(o) {
				found = o
				return true
			}
		}
		return false
	}
	if !look(nil) {
		s.await(what, func(e driver.Event) bool { return e == driver.OffersChanged{} && look(e) })
	}
	return found
}

func (s *stand) host(name string) place.Offer {
	s.t.Helper()
	return s.offer("an offer of "+name, func(o place.Offer) bool { return o.Host == name })
}

// spec is a task on a host, plain or in the volume of its instance.
func (s *stand) spec(host, instance string, incarnation int, resident bool) driver.Spec {
	s.t.Helper()
	id := app.NewInstanceID("/db", "00000000-0000-4000-8000-00000000000"+instance)
	spec := driver.Spec{
		Task: app.NewTaskID(id, incarnation), Instance: id, Host: host, Offer: s.host(host).ID,
		App: app.App{ID: "/db", Cmd: "true"}, Resources: place.Resources{CPUs: 1, Mem: 512},
	}
	if resident {
		spec.Volume = string(id)
		spec.Resources.Disk = 2048
		spec.App.Container = &app.Container{Type: app.ContainerMesos, Volumes: []app.Volume{
			{ContainerPath: "data", Mode: "RW", Persistent: &app.PersistentVolume{Type: "root", Size: 2048}},
		}}
	}
	return spec
}

func (s *stand) reserve(spec driver.Spec) {
	s.t.Helper()
	err := s.Reserve(s.t.Context(), driver.Reservation{
		Volume: spec.Volume, Instance: spec.Instance, Offer: spec.Offer, Host: spec.Host, App: spec.App, Ports: spec.Ports, Resources: spec.Resources,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// launch runs a task until it is said to run.
func (s *stand) launch(spec driver.Spec) {
	s.t.Helper()
	if spec.Volume != "" {
		s.reserve(spec)
		s.volume(spec.Volume, true)
	}
	if err := s.Launch(s.t.Context(), spec); err != nil {
		s.t.Fatal(err)
	}
	s.state(spec.Task, app.TaskRunning)
}
