package config

import "github.com/pgbaton/pgbaton/internal/cluster"

// rolesFile are the settings that may differ with the role of the server.
type rolesFile struct {
	Parameters map[string]any `yaml:"parameters"`
	HBA        []string       `yaml:"pg_hba"`
	Ident      []string       `yaml:"pg_ident"`

	PrimaryParameters map[string]any `yaml:"parameters_primary"`
	PrimaryHBA        []string       `yaml:"pg_hba_primary"`
	PrimaryIdent      []string       `yaml:"pg_ident_primary"`
	ReplicaParameters map[string]any `yaml:"parameters_replica"`
	ReplicaHBA        []string       `yaml:"pg_hba_replica"`
	ReplicaIdent      []string       `yaml:"pg_ident_replica"`
	StandbyParameters map[string]any `yaml:"parameters_standby_leader"`
	StandbyHBA        []string       `yaml:"pg_hba_standby_leader"`
	StandbyIdent      []string       `yaml:"pg_ident_standby_leader"`
}

// roleSuffixes are the ends of the names of options that count in one role only.
func roleSuffixes() []string { return []string{"_primary", "_replica", "_standby_leader"} }

// byRole are the settings of single roles, of those that have any.
func (f rolesFile) byRole() map[cluster.Role]RoleSettings {
	var all map[cluster.Role]RoleSettings
	for role, s := range map[cluster.Role]RoleSettings{
		cluster.RolePrimary:       {f.PrimaryParameters, f.PrimaryHBA, f.PrimaryIdent},
		cluster.RoleReplica:       {f.ReplicaParameters, f.ReplicaHBA, f.ReplicaIdent},
		cluster.RoleStandbyLeader: {f.StandbyParameters, f.StandbyHBA, f.StandbyIdent},
	} {
		if s.Parameters == nil && s.HBA == nil && s.Ident == nil {
			continue
		}
		if all == nil {
			all = map[cluster.Role]RoleSettings{}
		}
		all[role] = s
	}
	return all
}

// letsIn reports whether a document says who is let into the server, in its files or in the first dynamic configuration.
func (f *file) letsIn() bool {
	shared, _ := f.Bootstrap.DCS["postgresql"].(map[string]any)
	parameters, _ := shared["parameters"].(map[string]any)
	return len(f.Postgres.HBA) > 0 || len(f.Bootstrap.HBA) > 0 || shared["pg_hba"] != nil ||
		f.Postgres.Parameters["hba_file"] != nil || parameters["hba_file"] != nil
}
