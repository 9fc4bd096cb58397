package simulated_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/drivertest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
)

// TestContract holds the simulated machines to what is asked of real ones, in fine weather and in foul: late, repeated and
// overtaking messages are no excuse.
func TestContract(t *testing.T) {
	for _, test := range []struct {
		name    string
		weather simulated.Weather
	}{
		{"fine", simulated.Weather{}},
		{"late", simulated.Weather{Soonest: time.Millisecond, Latest: 20 * time.Millisecond, Twice: 0.3, LateRefusals: false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			drivertest.Run(t, func(t *testing.T) drivertest.Platform {
				hosts := simulated.Hosts(2)
				hosts[0].Resources.GPUs = 2
				fleet := simulated.New(simulated.Config{Hosts: hosts, Behaviour: script, Broken: broken(t), Seed: 7})
				fleet.SetWeather(test.weather)
				return drivertest.Platform{Checks: true, Open: func(*testing.T) driver.Driver { return fleet.Open() }}
			})
		})
	}
}

// broken: the suite breaks the order of things on purpose, and gets refusals for it.
func broken(t *testing.T) func(simulated.Rule, string) {
	return func(rule simulated.Rule, text string) {
		if rule != simulated.OneOnVolume {
			t.Errorf("%s: %s", rule, text)
		}
	}
}

// script is what the tasks of the suite do.
func script(s driver.Spec, files simulated.Files) simulated.Behaviour {
	if s.Image() == "no-such-image" {
		return simulated.Behaviour{Refuse: "no-such-image"}
	}
	const soon = time.Millisecond
	ends := func(well bool) simulated.Behaviour {
		if well {
			return simulated.Behaviour{Runs: soon}
		}
		return simulated.Behaviour{Runs: soon, End: app.TaskFailed, Why: "exit status 1"}
	}
	switch s.App.Cmd {
	case drivertest.Ends:
		return ends(true)
	case drivertest.Fails:
		return simulated.Behaviour{Runs: soon, End: app.TaskFailed, Why: "exit status 3: the disk is made of cheese"}
	case drivertest.Insists:
		return simulated.Behaviour{Stops: time.Hour}
	case drivertest.CountsStarts:
		files["starts"] += "started\n"
	case drivertest.StartedOnce:
		return ends(files["starts"] == "started\n")
	case drivertest.Keeps:
		files["file"] = "kept"
		return ends(true)
	case drivertest.FindsKept:
		return ends(files["file"] == "kept")
	case drivertest.FindsNothing:
		return ends(files["file"] == "")
	case drivertest.SaysFarewell:
		files["farewell"] = "bye"
	case drivertest.FindsFarewell:
		return ends(files["farewell"] == "bye")
	case drivertest.SeesEnvironment:
		return ends(s.Env["GREETING"] == "good morning" && s.Env["HOST"] != "")
	case drivertest.Sickens:
		well := true
		return simulated.Behaviour{Healthy: &well, Sickens: 10 * soon}
	}
	return simulated.Behaviour{}
}
