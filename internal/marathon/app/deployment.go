package app

import (
	"encoding/json"
	"slices"
)

// Deployment is a plan that leads from one set of definitions to another, as `GET /v2/deployments` shows it
// .
type Deployment struct {
	ID           string    `json:"id"`
	Version      Timestamp `json:"version"`
	AffectedApps []ID      `json:"affectedApps"`
	Steps        []Step    `json:"steps"`
	CurrentStep  int       `json:"currentStep"` // counts from 1; 0 before the first step has begun
}

// Step is a set of actions that run in parallel; steps run one after the other.
type Step struct {
	Actions []Action `json:"actions"`
}

// Action is what a step does to one app.
type Action struct {
	Kind ActionKind `json:"action"`
	App  ID         `json:"app"`
}

// ActionKind is Marathon's word for an action.
type ActionKind string

// The kinds of actions.
const (
	StartApplication   ActionKind = "StartApplication"
	ScaleApplication   ActionKind = "ScaleApplication"
	RestartApplication ActionKind = "RestartApplication"
	StopApplication    ActionKind = "StopApplication"
)

// CurrentActions are the actions of the current step, none before the first step and after the last.
func (d Deployment) CurrentActions() []Action {
	if d.CurrentStep < 1 || d.CurrentStep > len(d.Steps) {
		return nil
	}
	return d.Steps[d.CurrentStep-1].Actions
}

// Affects reports whether the deployment touches the app.
func (d Deployment) Affects(id ID) bool { return slices.Contains(d.AffectedApps, id) }

// currentAction is an action with the field Marathon only adds to running ones.
type currentAction struct {
	Action
	ReadinessCheckResults []struct{} `json:"readinessCheckResults"`
}

// MarshalJSON adds what Marathon derives (currentActions, totalSteps) and the list of pods, which is always empty here.
func (d Deployment) MarshalJSON() ([]byte, error) {
	type plain Deployment
	out := struct {
		plain
		AffectedPods   []struct{}      `json:"affectedPods"`
		CurrentActions []currentAction `json:"currentActions"`
		TotalSteps     int             `json:"totalSteps"`
	}{plain: plain(d), AffectedPods: []struct{}{}, CurrentActions: []currentAction{}, TotalSteps: len(d.Steps)}
	out.AffectedApps = append([]ID{}, d.AffectedApps...)
	out.Steps = append([]Step{}, d.Steps...)
	for _, a := range d.CurrentActions() {
		out.CurrentActions = append(out.CurrentActions, currentAction{Action: a, ReadinessCheckResults: []struct{}{}})
	}
	return json.Marshal(out)
}
