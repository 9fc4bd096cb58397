package app

// Ports a task of a PostgreSQL app listens on inside its container.
const (
	PostgresPort = 5432 // the server
	AgentPort    = 8008 // the REST API of the agent beside it
)

// Labels (and, for the second, an environment variable) that overrule how an app is recognised.
const (
	postgresLabel = "PGBATON_POSTGRES"
	plainLabel    = "PGBATON_PLAIN"
)

// IsPostgres reports whether the tasks of the app are PostgreSQL servers with an agent: it exposes both their ports, or
// says so with the label PGBATON_POSTGRES=true. The label or variable PGBATON_PLAIN=true opts out of everything
// that treats such an app differently from Marathon.
func (a App) IsPostgres() bool {
	if a.SaysPlain() {
		return false
	}
	if a.Labels[postgresLabel] == "true" {
		return true
	}
	_, server := a.PortIndex(PostgresPort)
	_, agent := a.PortIndex(AgentPort)
	return server && agent
}

// SaysPlain reports whether the definition opts out of everything that treats databases differently from Marathon.
func (a App) SaysPlain() bool {
	return a.Labels[plainLabel] == "true" || a.Env[plainLabel].Text == "true"
}
