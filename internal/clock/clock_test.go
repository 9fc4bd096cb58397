package clock_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/clock"
)

func TestSuspendedStandsStillWhileTheMachineRuns(t *testing.T) {
	before := clock.Suspended()
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
		if grown := clock.Suspended() - before; grown < 0 || grown > 10*time.Millisecond {
			t.Fatalf("it grew by %s", grown)
		}
	}
}
