package config

import (
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	cases := []struct {
		name, file string
		env        []string
		want       bool
	}{
		{"it is there where nobody says anything", "", nil, true},
		{"off in the file", "guard: off", nil, false},
		{"on in the file", "guard: on", nil, true},
		{"off by Patroni's kind of variable", "", []string{"PATRONI_GUARD=off"}, false},
		{"off by our own", "", []string{"PGBATON_GUARD=off"}, false},
		{"a variable wins over the file", "guard: off", []string{"PATRONI_GUARD=on"}, true},
		{"our own wins over Patroni's kind", "", []string{"PATRONI_GUARD=on", "PGBATON_GUARD=off"}, false},
		{"an empty variable says nothing", "guard: off", []string{"PGBATON_GUARD="}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if cfg := mustParse(t, postgres0+c.file+"\n", task(c.env...)); cfg.Guard != c.want {
				t.Errorf("got %v", cfg.Guard)
			}
		})
	}
}

func TestGuardIsOnOrOffAndNothingElse(t *testing.T) {
	for _, c := range []struct{ file, env, want string }{
		{"guard: perhaps", "", "guard"},
		{"guard: 2", "", "guard"},
		{"", "PATRONI_GUARD=no!", "PATRONI_GUARD"},
		{"", "PGBATON_GUARD=1", "PGBATON_GUARD"},
	} {
		_, err := parse("postgres0.yml", postgres0+c.file+"\n", Source{Env: task(c.env)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s%s: got %v", c.file, c.env, err)
		}
	}
}
