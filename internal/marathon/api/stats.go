package api

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// taskStats are Marathon's statistics of an app's tasks by the age of their configuration. A part without tasks is left
// out.
type taskStats struct {
	AfterScaling *statsPart `json:"startedAfterLastScaling,omitempty"`
	Latest       *statsPart `json:"withLatestConfig,omitempty"`
	Outdated     *statsPart `json:"withOutdatedConfig,omitempty"`
	Total        *statsPart `json:"totalSummary,omitempty"`
}

type statsPart struct {
	Stats struct {
		Counts   statsCounts `json:"counts"`
		LifeTime *lifeTime   `json:"lifeTime,omitempty"`
	} `json:"stats"`
}

type statsCounts struct {
	Staged    int `json:"staged"`
	Running   int `json:"running"`
	Healthy   int `json:"healthy"`
	Unhealthy int `json:"unhealthy"`
}

// lifeTime is how long tasks have run, in seconds.
type lifeTime struct {
	Average float64 `json:"averageSeconds"`
	Median  float64 `json:"medianSeconds"`
}

func statsOf(a app.App, tasks []app.Task, now time.Time) *taskStats {
	v := a.VersionInfo
	return &taskStats{
		AfterScaling: partOf(tasks, now, func(t app.Task) bool { return t.Version >= v.LastScalingAt }),
		Latest:       partOf(tasks, now, func(t app.Task) bool { return t.Version >= v.LastConfigChangeAt }),
		Outdated:     partOf(tasks, now, func(t app.Task) bool { return t.Version < v.LastConfigChangeAt }),
		Total:        partOf(tasks, now, func(app.Task) bool { return true }),
	}
}

func partOf(tasks []app.Task, now time.Time, belongs func(app.Task) bool) *statsPart {
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t app.Task) bool { return !belongs(t) })
	if len(tasks) == 0 {
		return nil
	}
	c := app.Count(tasks)
	var p statsPart
	p.Stats.Counts = statsCounts{Staged: c.Staged, Running: c.Running, Healthy: c.Healthy, Unhealthy: c.Unhealthy}
	p.Stats.LifeTime = lifeOf(tasks, now)
	return &p
}

// lifeOf is nil when none of the tasks has begun to run.
func lifeOf(tasks []app.Task, now time.Time) *lifeTime {
	var ages []float64
	var sum float64
	for _, t := range tasks {
		if t.StartedAt != 0 {
			age := now.Sub(t.StartedAt.Time()).Seconds()
			ages, sum = append(ages, age), sum+age
		}
	}
	if len(ages) == 0 {
		return nil
	}
	slices.Sort(ages)
	half := len(ages) / 2
	median := ages[half]
	if len(ages)%2 == 0 {
		median = (ages[half-1] + ages[half]) / 2
	}
	return &lifeTime{Average: sum / float64(len(ages)), Median: median}
}
