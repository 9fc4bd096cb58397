package haproxy

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/route"
)

// Look reads the routing HAProxy does.
func (p *Process) Look(ctx context.Context) (route.Seen, error) {
	p.trimOutput()
	states, err := p.socket.ask(ctx, "show servers state")
	if err != nil {
		return route.Seen{}, err
	}
	stats, err := p.socket.ask(ctx, "show stat -1 4 -1") // 4: only servers
	if err != nil {
		return route.Seen{}, err
	}
	servers, err := parseStates(states)
	if err != nil {
		return route.Seen{}, fmt.Errorf("read the state of HAProxy's servers: %w", err)
	}
	sessions, err := parseStats(stats)
	if err != nil {
		return route.Seen{}, fmt.Errorf("read HAProxy's statistics: %w", err)
	}
	for i, s := range servers {
		servers[i].Sessions = sessions[statKey{s.Service, s.Name}]
	}
	return route.Seen{Servers: servers}, nil
}

// The columns of "show servers state", version 1 (HAProxy 2.6 management guide, 9.3).
const (
	columnBackend = 1
	columnServer  = 3
	columnAddress = 4
	columnState   = 5
	columnAdmin   = 6
	columnCheck   = 13
	columnPort    = 18
	columnChkPort = 21
	columnChkAddr = 22
	stateColumns  = 25
)

// The values of its columns that we tell apart.
const (
	stateRunning = "2"
	adminNone    = "0"
	checkEnabled = 4 // a bit
)

// parseStates reads the answer to "show servers state".
func parseStates(answer string) ([]route.SeenServer, error) {
	lines := strings.Split(answer, "\n")
	if strings.TrimSpace(lines[0]) != "1" {
		return nil, fmt.Errorf("its format is %q, not 1", strings.TrimSpace(lines[0]))
	}
	var servers []route.SeenServer
	for _, line := range lines[1:] {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseState(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		servers = append(servers, s)
	}
	slices.SortFunc(servers, func(a, b route.SeenServer) int {
		return strings.Compare(a.Service+"/"+a.Name, b.Service+"/"+b.Name)
	})
	return servers, nil
}

func parseState(column []string) (route.SeenServer, error) {
	if len(column) < stateColumns {
		return route.SeenServer{}, fmt.Errorf("%d columns, not %d", len(column), stateColumns)
	}
	bits, err := strconv.Atoi(column[columnCheck])
	if err != nil {
		return route.SeenServer{}, err
	}
	check := column[columnChkAddr]
	if check == "-" {
		check = column[columnAddress]
	}
	return route.SeenServer{
		Service: column[columnBackend],
		Name:    memberName(column[columnServer]),
		Address: addrPort(column[columnAddress], column[columnPort]),
		Check:   addrPort(check, column[columnChkPort]),
		Up:      column[columnState] == stateRunning,
		Ready:   column[columnAdmin] == adminNone && bits&checkEnabled != 0,
	}, nil
}

// addrPort is not valid for what is no address and port: a server somebody else added at a Unix socket.
func addrPort(host, port string) netip.AddrPort {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(n))
}

// statKey names a server.
type statKey struct{ service, member string }

// parseStats reads the answer to "show stat", comma-separated values under a header, and returns the
// number of sessions of each server.
func parseStats(answer string) (map[statKey]int, error) {
	r := csv.NewReader(bytes.NewReader([]byte(strings.TrimPrefix(answer, "# "))))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	proxy, server, current := slices.Index(header, "pxname"), slices.Index(header, "svname"), slices.Index(header, "scur")
	if min(proxy, server, current) < 0 {
		return nil, errors.New("a column of pxname, svname, scur is missing")
	}
	sessions := map[statKey]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return sessions, nil
		}
		if err != nil {
			return nil, err
		}
		if len(row) <= max(proxy, server, current) {
			return nil, fmt.Errorf("a row has only %d columns", len(row))
		}
		n, err := strconv.ParseUint(row[current], 10, 31)
		if err != nil {
			return nil, fmt.Errorf("the number of sessions of %s/%s: %w", row[proxy], row[server], err)
		}
		sessions[statKey{row[proxy], memberName(row[server])}] = int(n)
	}
}
