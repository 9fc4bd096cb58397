package haproxy

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/pgbaton/pgbaton/internal/route"
)

//go:embed haproxy.cfg.tmpl
var configText string

// frontend is one service as the template needs it.
type frontend struct {
	Name, Bind, Defaults, Balance, Check, Fallback string
}

// render is the configuration file for a limit of open files.
func render(cfg Config, openFiles uint64) (string, error) {
	limit, err := cfg.maxConnections(openFiles)
	if err != nil {
		return "", err
	}
	page := ""
	if cfg.Statistics.IsValid() {
		page = cfg.Statistics.String()
	}
	var out strings.Builder
	t := template.Must(template.New(configFile).Parse(configText))
	err = t.Execute(&out, map[string]any{
		"Socket": cfg.path(socketFile), "Events": cfg.path(eventsFile), "MaxConnections": limit,
		"Frontends": frontends(cfg.Services), "Statistics": page,
	})
	if err != nil {
		return "", fmt.Errorf("render %s: %w", configFile, err)
	}
	return out.String(), nil
}

func frontends(services []route.Service) []frontend {
	out := make([]frontend, 0, len(services))
	for _, s := range services {
		f := frontend{Name: s.Name, Bind: s.Bind.String(), Fallback: route.Fallback(services, s)}
		switch s.Kind {
		case route.Writes:
			f.Defaults, f.Balance, f.Check = "database", "roundrobin", "/primary"
		case route.LeaderAPI:
			f.Defaults, f.Balance, f.Check = "api", "roundrobin", "/leader"
		case route.Reads:
			f.Defaults, f.Balance, f.Check = "database", "leastconn", "/replica?replication_state=streaming"
		}
		out = append(out, f)
	}
	return out
}
