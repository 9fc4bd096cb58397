package deploy

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Plan is what to do now.
type Plan struct {
	Actions []Action
	// Waits are the things that are wanted and not done now, each with its reason.
	Waits []Wait
	// Breaker is what bounds the ends of tasks for failed checks, after this plan.
	Breaker Breaker
	// Ask are the apps whose members' roles a decision needs.
	Ask []app.ID
	// Wake is when to ask for a plan again if nothing happens before, zero for never.
	Wake time.Time
}

// Wait is something that is wanted and not done now.
type Wait = app.Wait

// Action is one thing to do.
//
//sumtype:decl
type Action interface{ action() }

// Launch starts a task of an instance, of a new one when Instance is empty. The instance gets the goal running, unless it is
// to lose its volume: then it stays like that.
type Launch struct {
	App      app.ID
	Instance app.InstanceID
}

// Stop ends the task of an instance and whatever it left behind, and gives the instance a goal. Asking again for a stop
// that is under way repeats the request to the driver.
type Stop struct {
	Instance app.InstanceID
	Goal     Goal
	Led      bool // it leads, or led last
	Cause    string
}

// Withdraw takes back a stop that never reached the driver, so that it is decided anew whether it may be.
type Withdraw struct{ Instance app.InstanceID }

// SetGoal changes the goal of an instance that has nothing to stop.
type SetGoal struct {
	Instance app.InstanceID
	Goal     Goal
}

// Forget removes an instance that is gone.
type Forget struct{ Instance app.InstanceID }

// Destroy destroys the volume of an instance whose task has ended. Asking again repeats the request to the driver.
type Destroy struct{ Instance app.InstanceID }

// Handover asks the agents for a switchover.
type Handover struct {
	App       app.ID
	Leader    app.InstanceID
	Candidate app.InstanceID
}

// Advance begins a step of a deployment.
type Advance struct {
	Deployment string
	Step       int
}

// Finish ends a deployment that has reached its target.
type Finish struct{ Deployment string }

func (Launch) action()   {}
func (Stop) action()     {}
func (Withdraw) action() {}
func (SetGoal) action()  {}
func (Forget) action()   {}
func (Destroy) action()  {}
func (Handover) action() {}
func (Advance) action()  {}
func (Finish) action()   {}
