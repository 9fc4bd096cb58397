package acceptance

import (
	"net/http"
	"strings"
)

// api.md §3.2: words of old servers come back as today's.
func legacyNetworking(s *session) {
	for _, c := range []struct {
		given string
		want  map[string]string
	}{
		{`"ports": [10555, 0]`, map[string]string{
			"networks": `[{"mode":"host"}]`, "portDefinitions.0.port": "10555", "portDefinitions.0.protocol": `"tcp"`, "ports": "null",
		}},
		{`"container": {"docker": {"image": "x", "network": "HOST"}}`, map[string]string{
			"networks": `[{"mode":"host"}]`, "container.type": `"DOCKER"`, "container.portMappings": "null", "portDefinitions.0.name": `"default"`,
		}},
		{`"container": {"docker": {"image": "x", "network": "bridge"}}`, map[string]string{
			"networks": `[{"mode":"container/bridge"}]`, "container.portMappings.0.containerPort": "0", "container.portMappings.0.hostPort": "0",
			"portDefinitions": "null", "requirePorts": "false",
		}},
		{`"container": {"docker": {"image": "x", "network": "USER", "portMappings": [{"containerPort": 80, "servicePort": 10080}]}},
			"ipAddress": {"networkName": "dcos", "labels": {"a": "b"}}`, map[string]string{
			"networks": `[{"labels":{"a":"b"},"mode":"container","name":"dcos"}]`, "container.portMappings.0.hostPort": "null",
			"container.portMappings.0.servicePort": "10080", "ipAddress": "null",
		}},
		{`"ipAddress": {"networkName": "n", "discovery": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]}}`, map[string]string{
			"networks": `[{"mode":"container","name":"n"}]`, "container.type": `"MESOS"`, "container.portMappings.0.containerPort": "80",
			"container.portMappings.0.name": `"http"`,
		}},
		{`"uris": ["http://x/a.tgz"]`, map[string]string{
			"fetch": `[{"cache":false,"executable":false,"extract":true,"uri":"http://x/a.tgz"}]`, "uris": "null",
		}},
		{`"networks": [{"mode": "container/bridge"}], "container": {"portMappings": []}`, map[string]string{"container.portMappings": "[]"}},
		{
			`"networks": [{"mode": "container/bridge"}], "container": {"portMappings": [{"containerPort": 53, "protocol": "tcp,udp", "labels": {"metrics": "x"}}]}`,
			map[string]string{"container.portMappings.0.protocol": `"udp,tcp"`, "container.portMappings.0.labels": `{"metrics":"x"}`},
		},
	} {
		a := s.do(http.MethodPost, "/v2/apps", plain("/x", 0, c.given)).is(http.StatusCreated)
		for path, want := range c.want {
			a.has(path, want)
		}
		s.settled()
		s.ok(http.MethodDelete, "/v2/apps/x", "")
		s.settled()
	}
}

// api.md §1, error table, and §3: what is wrong with a definition is said at its place, in the words clients know.
func definitionsRefused(s *session) {
	const docker = `"container": {"docker": {"image": "x"`
	for _, c := range []struct{ given, path, text string }{
		{`"args": ["x"]`, "/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."},
		{`"cpus": -1`, "/cpus", "is less than 0"},
		{`"instances": -1`, "/instances", "is less than 0"},
		{`"instances": 2000000000`, "/instances", "is greater than 100000"},
		{`"backoffFactor": 0.5`, "/backoffFactor", "is less than 1"},
		{`"upgradeStrategy": {"minimumHealthCapacity": 1.1}`, "/upgradeStrategy/minimumHealthCapacity", "is greater than 1"},
		{`"upgradeStrategy": {"maximumOverCapacity": -0.1}`, "/upgradeStrategy/maximumOverCapacity", "is less than 0"},
		{`"portDefinitions": [{"port": 65536}]`, "/portDefinitions(0)/port", "is greater than 65535"},
		{`"portDefinitions": [{"port": 1}, {"port": 1}]`, "/portDefinitions", "Ports must be unique."},
		{`"portDefinitions": [{"port": 0, "name": "a"}, {"port": 0, "name": "a"}]`, "/portDefinitions", "Port names must be unique."},
		{`"portDefinitions": [{"port": 0, "name": "A_b"}]`, "/portDefinitions(0)/name", "must fully match regular expression '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"},
		{`"residency": {"taskLostBehavior": "WAIT_FOREVER"}`, "/residency", "AppDefinition must contain persistent volumes and define residency"},
		{
			`"networks": [{"mode": "host"}, {"mode": "container", "name": "x"}]`, "/networks",
			"May specify a single host network, single bridge network, or else 1-to-n container networks",
		},
		{`"networks": [{"mode": "container"}]`, "/networks", "Network name must be specified when container network is selected."},
		{docker + `, "network": "NONE"}}`, "/container/docker/network", "unsupported docker network type NONE"},
		{docker + `, "network": "BRIDGE"}}, "networks": [{"mode": "host"}]`, "/", "must not specify both container.docker.network and networks"},
		{
			docker + `, "portMappings": [{"containerPort": 1}]}, "portMappings": [{"containerPort": 2}]}`, "/container",
			"cannot specify both portMappings and docker.portMappings",
		},
		{`"uris": ["a"], "fetch": [{"uri": "b"}]`, "/uris", "may not be set in conjunction with fetch"},
		{`"check": {"http": {"path": "/"}}, ` + docker + `}}`, "/check", "checks do not work with the Docker containerizer"},
		{`"resourceLimits": {"cpus": 0.01}`, "/resourceLimits/cpus", "must be greater or equal to the amount that is asked for"},
	} {
		a := s.do(http.MethodPost, "/v2/apps", plain("/x", 1, c.given)).is(http.StatusUnprocessableEntity)
		a.says("Object is not valid")
		if !strings.Contains(a.body, `{"path":`+s.encode(c.path)+`,"errors":[`+s.encode(c.text)) {
			s.Errorf("%s is answered with %s, want %q at %s", c.given, a.body, c.text, c.path)
		}
	}
}

// api.md §1, error table: wrong types are named by their places, all of them at once, in the words of Marathon's JSON reader.
func typesRefused(s *session) {
	for given, want := range map[string]string{
		`{"id": 5}`:                                     `{"path":"/id","errors":["error.expected.jsstring"]}`,
		`{"id": "/x", "cpus": "1"}`:                     `{"path":"/cpus","errors":["error.expected.jsnumber"]}`,
		`{"id": "/x", "args": "a"}`:                     `{"path":"/args","errors":["error.expected.jsarray"]}`,
		`{"id": "/x", "args": [1]}`:                     `{"path":"/args(0)","errors":["error.expected.jsstring"]}`,
		`{"id": "/x", "labels": []}`:                    `{"path":"/labels","errors":["error.expected.jsobject"]}`,
		`{"id": "/x", "requirePorts": 1}`:               `{"path":"/requirePorts","errors":["error.expected.jsboolean"]}`,
		`{"id": "/x", "version": "yesterday"}`:          `{"path":"/version","errors":["error.expected.date.isoformat"]}`,
		`{"id": "/x", "fetch": [{}]}`:                   `{"path":"/fetch(0)/uri","errors":["error.path.missing"]}`,
		`{"id": "/x", "healthChecks": [{"port": "a"}]}`: `{"path":"/healthChecks(0)/port","errors":["error.expected.jsnumber"]}`,
		`[]`:   `{"path":"/","errors":["error.expected.jsobject"]}`,
		`null`: `{"path":"/","errors":["error.expected.jsobject"]}`,
	} {
		a := s.do(http.MethodPost, "/v2/apps", given).is(http.StatusBadRequest)
		a.says("Invalid JSON")
		if !strings.Contains(a.body, want) {
			s.Errorf("%s is answered with %s, want %s", given, a.body, want)
		}
	}
	s.do(http.MethodPost, "/v2/apps", `{"id": "/x", "cpus": "1", "mem": "2"}`).is(http.StatusBadRequest).has("details.0.path", `"/cpus"`).
		has("details.1.path", `"/mem"`)
	for _, body := range []string{"", "{", `{"id": "/x"} {}`, "id=/x"} {
		a := s.do(http.MethodPost, "/v2/apps", body).is(http.StatusBadRequest)
		a.says("Invalid JSON")
		if a.text("details") == "" {
			s.Errorf("%q is answered with %s", body, a.body)
		}
	}
}
