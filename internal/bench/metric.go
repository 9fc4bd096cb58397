package main

import (
	"fmt"
	"slices"
	"strconv"
)

// metric is one figure.
type metric struct {
	key, title string
	unit       unit
	// budget is the limit that pgbaton sets itself: at most, or at least where more is better. Negative: there is none.
	budget float64
	// more says that more is better.
	more bool
}

// unit is what a figure counts.
type unit int

const (
	seconds unit = iota
	milliseconds
	mebibytes
	perMinute // seconds in a minute
	perSecond
	count
)

const noBudget = -1

// The budgets are those of the design, in the units of their metrics.
func metrics() []metric {
	return []metric{
		{key: "restart", title: "postmaster killed, restarted in place: write outage", budget: 0.4},
		{key: "failover", title: "postmaster killed, failover chosen: write outage", budget: 0.35},
		{key: "switchover", title: "planned switchover, asynchronous: write outage", budget: 0.3},
		{key: "switchover_sync", title: "planned switchover, synchronous: write outage", budget: 0.4},
		{key: "switchover_quorum", title: "planned switchover, quorum commit: write outage", budget: 0.4},
		{key: "host", title: "host lost, ttl 20: write outage", budget: 20.5},
		{key: "frozen_outage", title: "agent frozen for ttl + 10 s: write outage", budget: noBudget},
		{key: "frozen_both", title: "… two servers acknowledge writes for", budget: 0},
		{key: "frozen_lost", title: "… acknowledged writes lost", unit: count, budget: 0},
		{key: "rise", title: "three empty members → leader + 2 streaming", budget: 2.5},
		{key: "memory", title: "agent memory (RSS)", unit: mebibytes, budget: 25},
		{key: "helpers", title: "its guard's memory (RSS)", unit: mebibytes, budget: noBudget},
		{key: "cpu", title: "CPU time of an idle agent, helpers included, a minute", unit: perMinute, budget: 0.05},
		{key: "requests", title: "DCS requests of an idle member a minute", unit: count, budget: 30},
		{key: "rest_rate", title: "GET /primary, 64 connections: answers a second", unit: perSecond, budget: 20000, more: true},
		{key: "rest_p50", title: "… half of them within", unit: milliseconds, budget: noBudget},
		{key: "rest_p99", title: "… 99 of 100 within", unit: milliseconds, budget: 5},
		{key: "rest_paced", title: "… asked 25000 times a second: answers a second", unit: perSecond, budget: 20000, more: true},
		{key: "rest_paced_p99", title: "… 99 of 100 within", unit: milliseconds, budget: 5},
		{key: "version", title: "--version", unit: milliseconds, budget: 30},
	}
}

// text is a figure of this unit without the unit.
func (u unit) text(v float64) string {
	switch u {
	case seconds:
		if v >= 10 {
			return strconv.FormatFloat(v, 'f', 1, 64)
		}
		return strconv.FormatFloat(v, 'f', 3, 64)
	case perMinute:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case milliseconds, mebibytes:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case perSecond, count:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return ""
}

// suffix is how the unit is written behind a figure.
func (u unit) suffix() string {
	switch u {
	case seconds, perMinute:
		return " s"
	case milliseconds:
		return " ms"
	case mebibytes:
		return " MiB"
	case perSecond:
		return "/s"
	case count:
		return ""
	}
	return ""
}

// limit is the budget as it is printed.
func (m metric) limit() string {
	if m.budget < 0 {
		return "–"
	}
	sign := "≤ "
	if m.more {
		sign = "≥ "
	}
	if m.budget == 0 {
		sign = ""
	}
	return sign + strconv.FormatFloat(m.budget, 'f', -1, 64) + m.unit.suffix()
}

// within reports whether a figure keeps the budget.
func (m metric) within(v float64) bool {
	if m.budget < 0 {
		return true
	}
	if m.more {
		return v >= m.budget
	}
	return v <= m.budget
}

// summary is what is told of several figures.
type summary struct {
	Runs   int     `json:"runs"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func summarise(figures []float64) summary {
	if len(figures) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	return summary{Runs: len(sorted), Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// median is the middle of sorted figures.
func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// cell is a summary as the table has it.
func (m metric) cell(s summary) string {
	if s.Runs == 0 {
		return "–"
	}
	return fmt.Sprintf("%s%s (%s–%s)", m.unit.text(s.Median), m.unit.suffix(), m.unit.text(s.Min), m.unit.text(s.Max))
}

// ratio says how many times better the first is; a dash where that is no number.
func (m metric) ratio(a, b summary) string {
	if m.more {
		a, b = b, a
	}
	if a.Runs == 0 || b.Runs == 0 || a.Median == 0 {
		return "–"
	}
	return strconv.FormatFloat(b.Median/a.Median, 'f', 1, 64) + "×"
}
