package postgres

import (
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// Upstream is another server: one to follow, to clone or to rewind from. The zero Upstream is nobody.
type Upstream struct {
	// Name is the member's name, for messages.
	Name string
	// Host may be empty for a standby that only restores from an archive. Several, with commas between them, are
	// several addresses of one cluster, of which the one that accepts writes is meant.
	Host string
	Port int
	// Ports are several ports for as many hosts, with commas between them; empty: Port for all.
	Ports string
	// Remote: the server belongs to the cluster that this one is a standby of.
	Remote bool
	// Slot is the replication slot that the upstream keeps for this server; empty for none.
	Slot string
	// RestoreCommand, ArchiveCleanupCommand and ApplyDelay (recovery_min_apply_delay) win over the member's own
	// settings while it follows this upstream. Empty: the member's own are used.
	RestoreCommand, ArchiveCleanupCommand, ApplyDelay string
	// Feedback has the standby tell the upstream which rows its queries need (hot_standby_feedback = on), whatever is
	// configured: logical slots on a standby need it.
	Feedback bool
}

const feedbackName = "hot_standby_feedback"

// Known reports whether the upstream has an address.
func (u Upstream) Known() bool { return u.Host != "" }

// endpoint is one address of an upstream.
type endpoint struct{ host, port string }

// endpoints are all addresses.
func (u Upstream) endpoints() []endpoint {
	ports := strings.Split(u.ports(), ",")
	var all []endpoint
	for i, host := range strings.Split(u.Host, ",") {
		all = append(all, endpoint{strings.TrimSpace(host), strings.TrimSpace(ports[min(i, len(ports)-1)])})
	}
	return all
}

func (u Upstream) ports() string {
	switch {
	case u.Ports != "":
		return u.Ports
	case u.Port == 0:
		return "5432"
	}
	return strconv.Itoa(u.Port)
}

// several reports whether the connection has to find the right one of several servers.
func (u Upstream) several() bool { return strings.Contains(u.Host, ",") }

// attributes is what the server that is meant must be; empty for whichever answers.
func (u Upstream) attributes() string {
	if u.several() {
		return "read-write"
	}
	return ""
}

// pairs say where the upstream is.
func (u Upstream) pairs() []pair {
	return []pair{{"host", u.Host}, {"port", u.ports()}}
}

// recovery are the settings that the upstream brings.
func (u Upstream) recovery() guc.Settings {
	all := guc.Settings{}
	for name, value := range map[string]string{
		"restore_command": u.RestoreCommand, "archive_cleanup_command": u.ArchiveCleanupCommand, "recovery_min_apply_delay": u.ApplyDelay,
	} {
		if value != "" {
			all[name] = value
		}
	}
	if u.Feedback {
		all[feedbackName] = "on"
	}
	return all
}
