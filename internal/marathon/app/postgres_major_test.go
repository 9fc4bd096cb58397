package app

import "testing"

func TestPostgresMajor(t *testing.T) {
	for _, c := range []struct {
		image, name, value string
		want               int
	}{
		{image: "postgres:16", want: 16},
		{image: "registry:5000/db/postgres:16.4-bookworm", want: 16},
		{image: "postgres:17-alpine", want: 17},
		{image: "patroni:latest"},
		{image: "registry:5000/patroni"},
		{image: "patroni:3.0.2"},
		{image: "patroni:12.0.1"},
		{image: "patroni:latest", name: "PG_MAJOR", value: "15", want: 15},
		{image: "postgres:16", name: "PGVERSION", value: "17.2", want: 17},
		{name: "PATRONI_POSTGRESQL_BIN_DIR", value: "/usr/lib/postgresql/15/bin", want: 15},
		{name: "PATRONI_POSTGRESQL_BIN_DIR", value: "/usr/pgsql-14/bin/", want: 14},
		{name: "PATRONI_POSTGRESQL_BIN_DIR", value: "/opt/bin"},
	} {
		a := App{Container: &Container{Docker: &Docker{Image: c.image}}, Env: map[string]EnvValue{c.name: {Text: c.value}}}
		if got, ok := PostgresMajor(a); got != c.want || ok != (c.want != 0) {
			t.Errorf("PostgresMajor(image %q, %s=%q) = %d, %t, want %d", c.image, c.name, c.value, got, ok, c.want)
		}
	}
	both := App{Env: map[string]EnvValue{"PG_MAJOR": {Text: "16"}, "PATRONI_POSTGRESQL_BIN_DIR": {Text: "/usr/lib/postgresql/15/bin"}}}
	if got, ok := PostgresMajor(both); ok {
		t.Errorf("a definition that contradicts itself tells %d", got)
	}
}
