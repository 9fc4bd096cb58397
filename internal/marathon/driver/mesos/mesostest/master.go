package mesostest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Config says what kind of master it is.
type Config struct {
	Agents []AgentConfig
	// Run starts the process of a task, and Play has a task played by somebody else; both nil: tasks are played here.
	Run  Runner
	Play Player
	// Listener is where the master is called; nil: a free port of this machine.
	Listener net.Listener
	// Principal and Secret are what frameworks have to log in with; empty: nobody has to.
	Principal, Secret string
	// Heartbeat is the interval of heartbeats, 15 s by default.
	Heartbeat time.Duration
}

// Master is a master with its agents.
type Master struct {
	cfg    Config
	server *httptest.Server

	mu         sync.Mutex
	id         string
	numbers    map[string]int // of what was named last, by kind
	frameworks map[string]*framework
	agents     []*agent
	offers     map[string]*offer
	gone       map[string]bool // agents that an operator has declared gone
	faults     faults
	closed     bool
	work       sync.WaitGroup
}

// framework is who subscribed.
type framework struct {
	id      string
	info    wire.FrameworkInfo
	stream  *stream // nil while it is not connected
	removed bool
	silent  map[string]bool      // roles it wants no offers for
	refused map[string]time.Time // agents it has declined, until when
	inverse map[string]bool      // agents it was asked to leave
}

// stream is a subscription's connection. Events wait in it without a bound: a test must not hang on a slow reader.
type stream struct {
	id   string
	wake chan struct{}
	end  chan struct{}

	mu     sync.Mutex
	queue  []wire.Event
	closed bool
	torn   bool      // it ends in the middle of an event
	silent time.Time // it says nothing before then
}

// New starts a master. It ends with the test, if nobody closes it before.
func New(t *testing.T, cfg Config) *Master {
	t.Helper()
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 15 * time.Second
	}
	m := &Master{cfg: cfg, id: uuid(), numbers: map[string]int{}, frameworks: map[string]*framework{}, offers: map[string]*offer{}, gone: map[string]bool{}}
	for _, a := range cfg.Agents {
		m.agents = append(m.agents, m.newAgent(a))
	}
	m.server = httptest.NewUnstartedServer(m)
	if cfg.Listener != nil {
		_ = m.server.Listener.Close()
		m.server.Listener = cfg.Listener
	}
	m.server.Start()
	t.Cleanup(m.Close)
	return m
}

// Address is the host:port of the master.
func (m *Master) Address() string { return strings.TrimPrefix(m.server.URL, "http://") }

// Close ends the master and every process on its agents.
func (m *Master) Close() {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	for _, f := range m.frameworks {
		f.hangUp()
	}
	for _, a := range m.agents {
		if m.cfg.Play == nil {
			a.stopAll()
		}
	}
	m.mu.Unlock()
	m.server.CloseClientConnections()
	m.server.Close()
	m.work.Wait()
}

// uuid names something at random.
func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// name is the next id of a kind: "…-0000" for frameworks, "…-S0" for agents, "…-O0" for offers.
func (m *Master) name(format string) string {
	n := m.numbers[format]
	m.numbers[format]++
	return m.id + "-" + fmt.Sprintf(format, n)
}

// ServeHTTP answers like the scheduler endpoint of a master.
func (m *Master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/files/read" {
		m.files(w, r)
		return
	}
	if user, password, _ := r.BasicAuth(); m.cfg.Principal != "" && (user != m.cfg.Principal || password != m.cfg.Secret) {
		w.Header().Set("WWW-Authenticate", `Basic realm="mesos-master-scheduler"`)
		plain(w, http.StatusUnauthorized, "401 Unauthorized.")
		return
	}
	call, status, text := read(r)
	if status != 0 {
		plain(w, status, text)
		return
	}
	lost, status, text := m.faults.meet(m, r, call)
	if status != 0 {
		w.Header().Set("Location", text) // of a redirect
		plain(w, status, text)
		return
	}
	if call.Type == wire.CallSubscribe {
		m.subscribe(w, r, call)
		return
	}
	if status, text = m.call(r.Header.Get("Mesos-Stream-Id"), call); lost { //nolint:contextcheck // an agent fetches, whatever becomes of the call
		panic(http.ErrAbortHandler) // done, and nobody hears of it
	}
	plain(w, status, text)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// read is the call of a request, or the answer to one that is none.
func read(r *http.Request) (call wire.Call, status int, text string) {
	switch {
	case r.URL.Path != "/api/v1/scheduler" && r.URL.Path != "/master/api/v1/scheduler":
		return call, http.StatusNotFound, "404 Not Found."
	case r.Method != http.MethodPost:
		return call, http.StatusMethodNotAllowed, "Expecting 'POST', received '" + r.Method + "'"
	case r.Header.Get("Content-Type") != "application/json":
		return call, http.StatusUnsupportedMediaType, "Expecting 'Content-Type' of application/json or application/x-protobuf"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &call) != nil {
		return call, http.StatusBadRequest, "Failed to parse body into JSON"
	}
	if call.Type == "" {
		return call, http.StatusBadRequest, "Failed to validate scheduler::Call: Expecting 'type' to be present"
	}
	return call, 0, ""
}

// subscribe opens a stream, and closes the one the framework had.
func (m *Master) subscribe(w http.ResponseWriter, r *http.Request, call wire.Call) {
	if r.Header.Get("Mesos-Stream-Id") != "" {
		plain(w, http.StatusBadRequest, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
		return
	}
	if call.Subscribe == nil {
		plain(w, http.StatusBadRequest, "Failed to validate scheduler::Call: Expecting 'subscribe' to be present")
		return
	}
	s := &stream{id: uuid(), wake: make(chan struct{}, 1), end: make(chan struct{})}
	m.mu.Lock()
	m.register(s, call)
	m.mu.Unlock()
	w.Header().Set("Mesos-Stream-Id", s.id)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	s.run(w, r, m.cfg.Heartbeat)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disconnected(s)
}

// register takes a framework in.
func (m *Master) register(s *stream, call wire.Call) {
	info := call.Subscribe.FrameworkInfo
	id := ""
	if call.FrameworkID != nil {
		id = call.FrameworkID.Value
	}
	f := m.frameworks[id]
	switch {
	case id == "":
		f = &framework{id: m.name("%04d")}
	case f == nil: // of a master before this one
		f = &framework{id: id}
	case f.removed:
		s.send(wire.Event{Type: wire.EventError, Error: &wire.Error{Message: "Framework has been removed"}})
		s.close()
		return
	case f.stream != nil:
		f.stream.send(wire.Event{Type: wire.EventError, Error: &wire.Error{Message: "Framework failed over"}})
		f.stream.close()
	}
	m.frameworks[f.id] = f
	m.takeBack(f)
	f.info, f.stream, f.refused, f.inverse = info, s, map[string]time.Time{}, map[string]bool{}
	f.suppress(call.Subscribe.SuppressedRoles)
	s.send(wire.Event{Type: wire.EventSubscribed, Subscribed: &wire.Subscribed{
		FrameworkID: wire.ID{Value: f.id}, HeartbeatIntervalSeconds: m.cfg.Heartbeat.Seconds(),
		MasterInfo: &wire.MasterInfo{ID: m.id, Version: "1.12.0"},
	}})
	s.send(wire.Event{Type: wire.EventHeartbeat})
	m.repeat(f)
	m.offer()
}

func (f *framework) suppress(roles []string) {
	f.silent = map[string]bool{}
	for _, role := range roles {
		f.silent[role] = true
	}
}

// send gives the framework an event, if it is connected.
func (f *framework) send(e wire.Event) {
	if f.stream != nil {
		f.stream.send(e)
	}
}

func (f *framework) hangUp() {
	if f.stream != nil {
		f.stream.close()
	}
}

// disconnected notes that a stream has ended. What was offered on it is void.
func (m *Master) disconnected(s *stream) {
	for _, f := range m.frameworks {
		if f.stream == s {
			f.stream = nil
			m.takeBack(f)
		}
	}
	if !m.closed {
		m.offer() // to others
	}
}

func (s *stream) send(e wire.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close ends the stream after what waits in it.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.end)
	}
}

// tear has the stream end in the middle of an event.
func (s *stream) tear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.torn = true
}

// hush has the stream say nothing before a moment.
func (s *stream) hush(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = until
	time.AfterFunc(time.Until(until), func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	})
}

func (s *stream) hushed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.silent)
}

func (s *stream) take() []wire.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.silent) {
		return nil
	}
	taken := s.queue
	s.queue = nil
	return taken
}

// run writes events until somebody ends the stream.
func (s *stream) run(w http.ResponseWriter, r *http.Request, heartbeat time.Duration) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		for _, e := range s.take() {
			write(w, e)
		}
		select {
		case <-s.wake:
		case <-beat.C:
			if !s.hushed() {
				write(w, wire.Event{Type: wire.EventHeartbeat})
			}
		case <-r.Context().Done():
			return
		case <-s.end:
			for _, e := range s.take() {
				write(w, e)
			}
			s.mu.Lock()
			torn := s.torn
			s.mu.Unlock()
			if torn {
				_, _ = io.WriteString(w, `120\n{"type":"OFF`)
			}
			return
		}
	}
}

func write(w http.ResponseWriter, e wire.Event) {
	b, err := json.Marshal(e)
	if err != nil {
		panic("mesostest: an event that is no JSON: " + err.Error())
	}
	fmt.Fprintf(w, "%d\n%s", len(b), b)
	_ = http.NewResponseController(w).Flush()
}
