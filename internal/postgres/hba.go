package postgres

import (
	"fmt"
	"strings"
)

// hbaHeader begins a pg_hba.conf that is written from the configuration.
const hbaHeader = `# Written by pgbaton from the member's configuration (postgresql.pg_hba). Changes to this
# file are lost.
`

// defaultHBA is the pg_hba.conf of a new cluster for which none was configured: whoever wants in proves a
// password by SCRAM, which never sends it. That suits members on other hosts, whose addresses are not
// known yet, and clients; nobody is trusted for where they come from.
func defaultHBA(superuser, replication Login) string {
	local, comment := localMethod(superuser)
	//nolint:dupword // a rule for all databases and all users
	return fmt.Sprintf(`# Written by pgbaton when the cluster was made, because no postgresql.pg_hba was configured.
# It is yours now: change it, or configure postgresql.pg_hba for all members.
#
%s
local  all          all                  %s
local  replication  all                  %s
# Clients and other members (for pg_rewind), from anywhere, with a password proved by SCRAM.
host   all          all        all       scram-sha-256
# Standbys and base backups: one role only.
host   replication  %s  all       scram-sha-256
`, comment, local, local, quoteHBA(replication.Username))
}

// localMethod is how the superuser proves over the socket who it is, and why.
func localMethod(superuser Login) (method, comment string) {
	if superuser.Password == "" {
		return "peer", "# No superuser password is configured: who owns the server's processes is known by name."
	}
	return "scram-sha-256", "# The socket is in a folder that only the server's own user may enter; a password all the same."
}

// quoteHBA quotes a name, so that "all" or "+group" mean a role of that name.
func quoteHBA(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
