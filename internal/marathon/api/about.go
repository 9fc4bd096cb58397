package api

import (
	"cmp"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// apiLevel is the Marathon release whose API this is: clients choose their words by it.
const apiLevel = "1.11.0"

// ping is plain text, except for clients that only take JSON.
func (s *Server) ping(r *http.Request) (answer, error) {
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/") && !strings.Contains(accept, "*/*") {
		return ok("pong")
	}
	return answer{status: http.StatusOK, text: "pong"}, nil
}

// leads is the address of the scheduler that leads, which is this one where there are no others.
func (s *Server) leads() (string, bool) {
	switch {
	case s.Leadership == nil || s.Leadership.Leads():
		return s.config.Address, true
	default:
		return s.Leadership.Leader()
	}
}

func (s *Server) leader(*http.Request) (answer, error) {
	address, known := s.leads()
	if !known {
		return answer{}, refuse(http.StatusNotFound, "There is no leader")
	}
	return ok(map[string]string{"leader": address})
}

func (s *Server) abdicate(r *http.Request) (answer, error) {
	if s.Leadership == nil {
		return answer{}, refuse(http.StatusConflict, "this scheduler has no others beside it that could take the lead")
	}
	ctx, cancel := limited(r)
	defer cancel()
	if err := s.Leadership.Abdicate(ctx); err != nil {
		return answer{}, err
	}
	return ok(message{"Leadership abdicated"})
}

// plugins is always empty: nothing is loaded into this server.
func (s *Server) plugins(*http.Request) (answer, error) {
	return ok(map[string][]struct{}{"plugins": {}})
}

// marathonConfig is what is true of this server of Marathon's own settings. It has no others: Python's client refuses an
// answer with a setting that it does not know.
type marathonConfig struct {
	FrameworkName          string   `json:"framework_name"`
	HA                     bool     `json:"ha"`
	Checkpoint             bool     `json:"checkpoint"`
	Hostname               string   `json:"hostname"`
	WebURL                 string   `json:"webui_url"`
	LocalPortMin           int      `json:"local_port_min"`
	LocalPortMax           int      `json:"local_port_max"`
	MesosRole              string   `json:"mesos_role"`
	Features               []string `json:"features"`
	AllowOrigin            []string `json:"access_control_allow_origin"`
	NewGroupEnforceRole    string   `json:"new_group_enforce_role"`
	TaskReservationTimeout int      `json:"task_reservation_timeout"` // milliseconds
	MaintenanceMode        bool     `json:"maintenance_mode"`
}

// reservationTimeout is how long the scheduler waits for a volume, in milliseconds.
const reservationTimeout = 20_000

func (s *Server) marathonConfig() marathonConfig {
	host, _, _ := net.SplitHostPort(s.config.Address)
	return marathonConfig{
		FrameworkName: "pgbaton", HA: s.Leadership != nil, Checkpoint: true, Hostname: host, WebURL: "http://" + s.config.Address,
		LocalPortMin: app.FirstServicePort, LocalPortMax: app.LastServicePort, MesosRole: cmp.Or(s.config.Role, app.DefaultRole),
		Features: []string{"gpu_resources", "secrets"}, AllowOrigin: append([]string{}, s.config.AllowOrigins...),
		NewGroupEnforceRole: "off", TaskReservationTimeout: reservationTimeout,
		MaintenanceMode: true,
	}
}

// info tells what is true of this server, under the names Marathon uses.
func (s *Server) info(*http.Request) (answer, error) {
	_, port, _ := net.SplitHostPort(s.config.Address)
	number, _ := strconv.Atoi(port)
	leader, elected := s.leads()
	var framework string
	if s.config.FrameworkID != nil {
		framework = s.config.FrameworkID()
	}
	return ok(struct {
		Name        string         `json:"name"`
		Version     string         `json:"version"`
		BuildRef    string         `json:"buildref"`
		Elected     bool           `json:"elected"`
		Leader      string         `json:"leader,omitempty"`
		FrameworkID string         `json:"frameworkId,omitempty"`
		Marathon    marathonConfig `json:"marathon_config"`
		ZooKeeper   struct{}       `json:"zookeeper_config"`
		HTTP        map[string]int `json:"http_config"`
	}{
		Name: "marathon", Version: apiLevel, BuildRef: "pgbaton-" + s.config.Version, Elected: elected, Leader: leader,
		FrameworkID: framework, Marathon: s.marathonConfig(), HTTP: map[string]int{"http_port": number},
	})
}

// showConfig is what this server was started with. The login of its users is not in it.
func (s *Server) showConfig(*http.Request) (answer, error) {
	return ok(struct {
		Address     string         `json:"address"`
		Version     string         `json:"version"`
		Login       bool           `json:"http_credentials"`
		Concurrent  int            `json:"http_max_concurrent_requests,omitempty"`
		Deployments int            `json:"max_running_deployments"`
		AllowOrigin []string       `json:"access_control_allow_origin"`
		Marathon    marathonConfig `json:"marathon_config"`
	}{
		s.config.Address, s.config.Version, s.config.Password != "", s.config.Concurrent, maxDeployments, append([]string{}, s.config.AllowOrigins...),
		s.marathonConfig(),
	})
}
