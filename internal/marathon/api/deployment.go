package api

import (
	"net/http"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// deploymentView is a deployment with what its readiness checks found.
type deploymentView struct {
	ID           string          `json:"id"`
	Version      app.Timestamp   `json:"version"`
	AffectedApps []app.ID        `json:"affectedApps"`
	AffectedPods []struct{}      `json:"affectedPods"`
	Steps        []app.Step      `json:"steps"`
	Current      []currentAction `json:"currentActions"`
	CurrentStep  int             `json:"currentStep"`
	TotalSteps   int             `json:"totalSteps"`
}

type currentAction struct {
	app.Action

	Readiness []app.ReadinessResult `json:"readinessCheckResults"`
}

// deployments are a bare list.
func (s *Server) deployments(*http.Request) (answer, error) {
	views := []deploymentView{}
	for _, d := range s.Scheduler.Deployments() {
		v := deploymentView{
			ID: d.ID, Version: d.Version, AffectedApps: append([]app.ID{}, d.AffectedApps...), AffectedPods: []struct{}{},
			Steps: append([]app.Step{}, d.Steps...), Current: []currentAction{}, CurrentStep: d.CurrentStep, TotalSteps: len(d.Steps),
		}
		for _, a := range d.CurrentActions() {
			v.Current = append(v.Current, currentAction{a, s.readiness(a.App)})
		}
		views = append(views, v)
	}
	return ok(views)
}

func (s *Server) readiness(id app.ID) []app.ReadinessResult {
	if s.Tasks == nil {
		return []app.ReadinessResult{}
	}
	return append([]app.ReadinessResult{}, s.Tasks.Readiness(id)...)
}

func (s *Server) cancelDeployment(id string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		ctx, cancel := limited(r)
		defer cancel()
		d, known, err := s.Scheduler.Cancel(ctx, id, force)
		switch {
		case err != nil:
			return answer{}, err
		case !known:
			return answer{}, refuse(http.StatusNotFound, "DeploymentPlan %s does not exist", id)
		case force:
			return answer{status: http.StatusAccepted}, nil
		}
		return started(http.StatusOK, d), nil
	}
}
