package place

import (
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// assign finds a host port for each port of the app.
func (q *query) assign(h *host) ([]int, string) {
	free := h.ports
	if kept := h.offer.Kept[q.Volume].Ports; len(kept) > 0 {
		free = slices.Concat(free, kept)
	}
	before := q.Ports
	if len(before) != len(q.ports) {
		before = make([]int, len(q.ports))
	}
	taken := make([]int, 0, len(q.ports))
	for i, port := range q.ports {
		number, why := hostPort(free, port, before[i])
		if why != "" {
			return nil, why
		}
		taken = append(taken, number)
		if number != 0 {
			free = free.Without(number)
		}
	}
	return taken, ""
}

// hostPort picks the number for one port.
func hostPort(free Ranges, p app.Port, before int) (int, string) {
	if !p.Published {
		return 0, ""
	}
	if p.HostPort != 0 {
		if free.Contains(p.HostPort) {
			return p.HostPort, ""
		}
		return 0, fmt.Sprintf("port %d is not free", p.HostPort)
	}
	for _, number := range []int{before, p.ContainerPort} {
		if number != 0 && free.Contains(number) {
			return number, ""
		}
	}
	if number, ok := free.lowest(); ok {
		return number, ""
	}
	return 0, "no port is free"
}
