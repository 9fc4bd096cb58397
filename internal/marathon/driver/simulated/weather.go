package simulated

import (
	"math/rand/v2"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Weather is what goes wrong by chance, and what is wrong at the moment. Its zero value is fine weather. Shares lie between
// 0 and 1.
type Weather struct {
	// Soonest and Latest bound how long a message takes to the scheduler. Those about different tasks overtake each other.
	Soonest, Latest time.Duration
	// Late is the share of messages that get lost and come again after [Again].
	Late float64
	// Twice is the share of statuses that arrive twice.
	Twice float64
	// Vague is the share of launches, reservations and destructions that get no answer; half of those happen all the same.
	Vague float64
	// Deaf is the share of requests to kill that get lost.
	Deaf float64
	// Refuse, if not empty, is why every launch and every new volume is refused.
	Refuse string
	// LateRefusals makes refusals of reservations arrive as events.
	LateRefusals bool
	// Silent means that no call gets through at all.
	Silent bool
}

// Again is when a lost message comes once more, as a Mesos agent repeats its own.
const Again = 10 * time.Second

// SetWeather changes the weather. When calls get through again that did not, that is announced as changed offers.
func (f *Fleet) SetWeather(w Weather) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.weather
	f.weather = w
	if before.Silent && !w.Silent || before.Refuse != "" && w.Refuse == "" {
		f.announce(driver.OffersChanged{})
	}
}

// delay is how long the next message takes.
func (w Weather) delay(chance *rand.Rand) time.Duration {
	d := w.Soonest
	if w.Latest > w.Soonest {
		d += time.Duration(chance.Int64N(int64(w.Latest - w.Soonest)))
	}
	if w.Late > 0 && chance.Float64() < w.Late {
		d += Again
	}
	return d
}

// vague decides about a call: it got lost, or its answer will.
func (w Weather) vague(chance *rand.Rand) (lost, silent bool) {
	if w.Vague == 0 || chance.Float64() >= w.Vague {
		return false, false
	}
	lost = chance.IntN(2) == 0
	return lost, !lost
}

func (w Weather) deaf(chance *rand.Rand) bool { return w.Deaf > 0 && chance.Float64() < w.Deaf }
