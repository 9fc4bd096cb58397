package api

import (
	"context"
	"net/http"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (s *Server) listClusters(r *http.Request) (answer, error) {
	return ok(map[string][]app.Cluster{"clusters": append([]app.Cluster{}, s.Clusters.Clusters(r.Context())...)})
}

func (s *Server) showCluster(path string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findCluster(path)
		if err != nil {
			return answer{}, err
		}
		return s.cluster(r.Context(), id)
	}
}

// cluster asks the members of a cluster and shows it.
func (s *Server) cluster(ctx context.Context, id app.ID) (answer, error) {
	c, err := s.Clusters.Cluster(ctx, id)
	if err != nil {
		return answer{}, asked(err)
	}
	c.Members = append([]app.Member{}, c.Members...)
	return ok(c)
}

// findCluster is the PostgreSQL app at a path, or what is left of a deleted one.
func (s *Server) findCluster(path string) (app.ID, error) {
	id, err := app.ParseID(path)
	if err != nil {
		return "", &app.UnknownAppError{ID: app.ID("/" + path)}
	}
	if s.Clusters.IsCluster(id) {
		return id, nil
	}
	if _, there := s.Scheduler.App(id); there {
		return "", refuse(http.StatusNotFound, "App '%s' is no PostgreSQL app: it exposes neither port %d and %d nor has the label PGBATON_POSTGRES=true",
			id, app.PostgresPort, app.AgentPort)
	}
	return "", &app.UnknownAppError{ID: id}
}

// switchover hands the lead over, to the candidate if the body names one, and shows the cluster after it.
func (s *Server) switchover(path string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findCluster(path)
		if err != nil {
			return answer{}, err
		}
		var body struct {
			Candidate string `json:"candidate"`
		}
		if err := optionalBody(r, &body); err != nil {
			return answer{}, err
		}
		ctx, cancel := limited(r)
		defer cancel()
		if err := s.Clusters.Switchover(ctx, id, body.Candidate); err != nil {
			return answer{}, asked(err)
		}
		return s.cluster(ctx, id)
	}
}

func (s *Server) pause(path string, on bool) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findCluster(path)
		if err != nil {
			return answer{}, err
		}
		ctx, cancel := limited(r)
		defer cancel()
		if err := s.Clusters.Pause(ctx, id, on); err != nil {
			return answer{}, asked(err)
		}
		return s.cluster(ctx, id)
	}
}

// asked is the answer to what a cluster would not do: the reason is a sentence, and the server is well.
func asked(err error) error {
	if statusOf(err) != http.StatusInternalServerError {
		return err
	}
	return refuse(http.StatusConflict, "%s", err)
}

// memberGate is whether one member may be stopped now.
type memberGate struct {
	Name     string         `json:"name,omitempty"`
	Instance app.InstanceID `json:"instance"`
	Gate     app.Verdict    `json:"gate"`
}

// gate is what the disruption gate says about a cluster and each of its members.
func (s *Server) gate(path string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findCluster(path)
		if err != nil {
			return answer{}, err
		}
		c, err := s.Clusters.Cluster(r.Context(), id)
		if err != nil {
			return answer{}, asked(err)
		}
		members := []memberGate{}
		for _, m := range c.Members {
			members = append(members, memberGate{m.Name, m.Instance, m.Gate})
		}
		return ok(struct {
			App     app.ID       `json:"app"`
			Gate    app.Verdict  `json:"gate"`
			Members []memberGate `json:"members"`
		}{id, c.Gate, members})
	}
}

// optionalBody reads a body that may be empty.
func optionalBody(r *http.Request, to any) error {
	_, err := parseBody(r, func(data []byte) (struct{}, error) {
		if len(data) == 0 {
			return struct{}{}, nil
		}
		return struct{}{}, decode(data, to)
	})
	return err
}
