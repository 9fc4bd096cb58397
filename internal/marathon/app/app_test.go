package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// patroni is the app this project grew out of, in canonical form and with a version.
func patroni(t *testing.T) App {
	t.Helper()
	return parsed(t, `{"id": "/postgresql/patroni", "cpus": 2, "mem": 4096, "disk": 20000.5, "instances": 3,
		"container": {"docker": {"image": "patroni:latest", "network": "BRIDGE", "portMappings": [
			{"containerPort": 5432, "servicePort": 10000, "name": "postgres"}, {"containerPort": 8008, "servicePort": 10001}]}},
		"env": {"PATRONI_SCOPE": "pg", "HOST": "mine", "X": "$HOST:$PORT0"},
		"labels": {"HAPROXY_0.mode": "tcp", "b": "c"},
		"healthChecks": [{"path": "health", "portIndex": 1}]}`)
}

func parsed(t *testing.T, definition string) App {
	t.Helper()
	a, err := newApp(definition)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A task sees what Marathon would tell it.
func TestEnvironmentOfATask(t *testing.T) {
	a := patroni(t).Created(1_000)
	a.Labels["long"] = strings.Repeat("x", 513)
	a.Env["FROM"] = EnvValue{Secret: "s"}
	got := a.TaskEnv("t._app.1", "node1", []int{5432, 31001})
	want := map[string]string{
		"MESOS_TASK_ID":                     "t._app.1",
		"MARATHON_APP_ID":                   "/postgresql/patroni",
		"MARATHON_APP_VERSION":              "1970-01-01T00:00:01.000Z",
		"MARATHON_APP_DOCKER_IMAGE":         "patroni:latest",
		"MARATHON_APP_RESOURCE_CPUS":        "2.0",
		"MARATHON_APP_RESOURCE_MEM":         "4096.0",
		"MARATHON_APP_RESOURCE_DISK":        "20000.5",
		"MARATHON_APP_RESOURCE_GPUS":        "0",
		"MARATHON_APP_ENFORCE_GROUP_ROLE":   "false",
		"MARATHON_APP_LABELS":               "HAPROXY_0_MODE B",
		"MARATHON_APP_LABEL_HAPROXY_0_MODE": "tcp",
		"MARATHON_APP_LABEL_B":              "c",
		"PORT":                              "5432",
		"PORT0":                             "5432",
		"PORT1":                             "31001",
		"PORTS":                             "5432,31001",
		"PORT_5432":                         "5432",
		"PORT_8008":                         "31001",
		"PORT_POSTGRES":                     "5432",
		"HOST":                              "mine",
		"PATRONI_SCOPE":                     "pg",
		"X":                                 "$HOST:$PORT0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestEnvironmentNamesTheHostPortWhereTheContainerHasNone(t *testing.T) {
	a := parsed(t, `{"cmd": "x"}`)
	got := a.TaskEnv("t", "h", []int{31005})
	if got["PORT_31005"] != "31005" || got["PORT_DEFAULT"] != "31005" || got["HOST"] != "h" {
		t.Errorf("got %v", got)
	}
	none := parsed(t, `{"cmd": "x", "portDefinitions": []}`).TaskEnv("t", "h", nil)
	if _, ok := none["PORT"]; ok {
		t.Errorf("an app without ports got PORT: %v", none)
	}
	inside := parsed(t, `{"cmd": "x", "networks": [{"name": "n"}], "container": {"portMappings": [{"containerPort": 80}]}}`)
	if got := inside.TaskEnv("t", "h", []int{0})["PORT0"]; got != "80" {
		t.Errorf("PORT0 of an unpublished port = %q, want 80", got)
	}
}

func TestRecognisesPostgres(t *testing.T) {
	const bridge = `"container": {"docker": {"image": "x", "network": "BRIDGE", "portMappings": [%s]}}`
	both := fmt.Sprintf(bridge, `{"containerPort": 8008}, {"containerPort": 5432}`)
	for _, tt := range []struct {
		name, definition string
		want             bool
	}{
		{"both ports", `{` + both + `}`, true},
		{"only the server", `{` + fmt.Sprintf(bridge, `{"containerPort": 5432}`) + `}`, false},
		{"only the agent", `{` + fmt.Sprintf(bridge, `{"containerPort": 8008}`) + `}`, false},
		{"both on the host network", `{"cmd": "x", "portDefinitions": [{"port": 5432}, {"port": 8008}]}`, true},
		{"label", `{"cmd": "x", "labels": {"PGBATON_POSTGRES": "true"}}`, true},
		{"label that says no", `{"cmd": "x", "labels": {"PGBATON_POSTGRES": "false"}}`, false},
		{"opted out by label", `{` + both + `, "labels": {"PGBATON_PLAIN": "true", "PGBATON_POSTGRES": "true"}}`, false},
		{"opted out by variable", `{` + both + `, "env": {"PGBATON_PLAIN": "true"}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parsed(t, tt.definition).IsPostgres(); got != tt.want {
				t.Errorf("IsPostgres() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPortsKeepTheOrderOfTheDefinition(t *testing.T) {
	a := patroni(t)
	want := []Port{
		{ContainerPort: 5432, Published: true, ServicePort: 10000, Protocol: "tcp", Name: "postgres", Labels: Labels{}},
		{ContainerPort: 8008, Published: true, ServicePort: 10001, Protocol: "tcp", Labels: Labels{}},
	}
	if diff := cmp.Diff(want, a.Ports()); diff != "" {
		t.Errorf("Ports() (-want +got):\n%s", diff)
	}
	if i, ok := a.PortIndex(8008); !ok || i != 1 {
		t.Errorf("PortIndex(8008) = %d, %v", i, ok)
	}
	if _, ok := a.PortIndex(80); ok {
		t.Error("PortIndex(80) found a port nobody has")
	}
	fixed := parsed(t, `{"cmd": "x", "requirePorts": true, "portDefinitions": [{"port": 5000}]}`)
	if got := fixed.Ports()[0].HostPort; got != 5000 {
		t.Errorf("host port with requirePorts = %d, want 5000", got)
	}
}

func TestHealthChecksReadyToProbe(t *testing.T) {
	a := patroni(t)
	checks := a.EffectiveHealthChecks()
	if got := checks[0].Path; got != "/health" {
		t.Errorf("path = %q, want /health", got)
	}
	if port, ok := checks[0].Target([]int{31000, 31001}); !ok || port != 31001 {
		t.Errorf("Target = %d, %v, want 31001", port, ok)
	}
	if _, ok := checks[0].Target([]int{31000}); ok {
		t.Error("a task without the port has a target")
	}
	fixed := parsed(t, `{"cmd": "x", "healthChecks": [{"protocol": "TCP", "port": 80, "intervalSeconds": 0, "timeoutSeconds": 0}]}`)
	h := fixed.EffectiveHealthChecks()[0]
	if port, _ := h.Target(nil); port != 80 || h.Path != "" {
		t.Errorf("fixed port = %d, path = %q", port, h.Path)
	}
	if h.Interval().Seconds() != 1 || h.Timeout().Seconds() != 1 || h.Grace().Seconds() != 300 {
		t.Errorf("interval, timeout, grace = %v, %v, %v", h.Interval(), h.Timeout(), h.Grace())
	}
}

// Service ports are assigned as Marathon does.
func TestServicePortsAreAssigned(t *testing.T) {
	other := parsed(t, `{"id": "/other", "cmd": "x", "portDefinitions": [{"port": 10000}, {"port": 10002}]}`)
	apps := map[ID]App{other.ID: other}
	first := parsed(t, `{"id": "/a", "cmd": "x", "portDefinitions": [{"name": "a"}, {"port": 10000}, {"name": "b"}]}`)

	a, err := first.AssignServicePorts(App{}, apps)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10001, 10000, 10003}, a.ServicePorts()); diff != "" {
		t.Errorf("lowest free ports (-want +got):\n%s", diff)
	}
	if got := first.ServicePorts()[0]; got != 0 {
		t.Errorf("the definition itself was changed to %d", got)
	}

	apps[a.ID] = a
	again, err := first.AssignServicePorts(a, apps)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.ServicePorts(), again.ServicePorts()); diff != "" {
		t.Errorf("an update keeps the assignments (-want +got):\n%s", diff)
	}

	bridge := parsed(t, `{"id": "/b", "container": {"docker": {"image": "x", "network": "BRIDGE"}}}`)
	b, err := bridge.AssignServicePorts(App{}, apps)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.ServicePorts()[0]; got != 10004 {
		t.Errorf("port of a mapping = %d, want 10004", got)
	}
}

func TestServicePortsRunOut(t *testing.T) {
	full := App{ID: "/full", Networks: []Network{{Mode: NetworkHost}}}
	for p := FirstServicePort; p <= LastServicePort; p++ {
		full.PortDefinitions = append(full.PortDefinitions, PortDefinition{Port: p})
	}
	_, err := parsed(t, `{"cmd": "x"}`).AssignServicePorts(App{}, map[ID]App{full.ID: full})
	if _, ok := errors.AsType[*InvalidError](err); !ok {
		t.Errorf("error = %v, want an InvalidError", err)
	}
}

func TestVersionsMoveWithWhatChanged(t *testing.T) {
	v1 := patroni(t).Created(100)
	if v1.Version != 100 || v1.VersionInfo != (VersionInfo{100, 100}) {
		t.Fatalf("first version = %d, %+v", v1.Version, v1.VersionInfo)
	}
	same := v1.Clone().Revised(v1, 200)
	if same.Version != 100 {
		t.Errorf("no change made version %d, want 100", same.Version)
	}
	labelled := v1.Clone()
	labelled.Labels["x"] = "y"
	labelled = labelled.Revised(v1, 200)
	if labelled.Version != 200 || labelled.VersionInfo != v1.VersionInfo {
		t.Errorf("a label made %d, %+v, want 200 and unchanged dates", labelled.Version, labelled.VersionInfo)
	}
	scaled := v1.Clone()
	scaled.Instances = 5
	scaled = scaled.Revised(v1, 50)
	if scaled.Version != 101 || scaled.VersionInfo != (VersionInfo{LastScalingAt: 101, LastConfigChangeAt: 100}) {
		t.Errorf("scaling with a clock that went back made %d, %+v", scaled.Version, scaled.VersionInfo)
	}
	changed := scaled.Clone()
	changed.CPUs = 4
	changed = changed.Revised(scaled, 300)
	if changed.Version != 300 || changed.VersionInfo != (VersionInfo{300, 300}) {
		t.Errorf("a configuration change made %d, %+v", changed.Version, changed.VersionInfo)
	}
}

func TestChangesHaveNames(t *testing.T) {
	for c, want := range map[Change]string{
		ChangeNone: "none", ChangeMetadata: "metadata", ChangeScale: "scale", ChangeRestart: "restart", 9: "unknown",
	} {
		if got := c.String(); got != want {
			t.Errorf("Change(%d) = %q, want %q", int(c), got, want)
		}
	}
}

func TestUpdateNamesItsAppAndFields(t *testing.T) {
	u, err := Parse([]byte(`{"id": "x/y", "version": "2026-11-30T12:00:00.000Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := u.ID(); !ok || id != "/x/y" {
		t.Errorf("ID() = %q, %v", id, ok)
	}
	if v, ok, err := u.Rollback(); !ok || err != nil || v.String() != "2026-11-30T12:00:00.000Z" {
		t.Errorf("Rollback() = %v, %v, %v", v, ok, err)
	}
	if !u.Has("version") || u.Has("cpus") {
		t.Error("Has tells the fields given from those that are not")
	}
	if _, err := Parse([]byte(`{"version": "yesterday"}`)); err == nil {
		t.Error("a version that is no time was accepted")
	}
	if _, err := Parse([]byte(`{"version": 1}`)); err == nil {
		t.Error("a version that is a number was accepted")
	}
	old := patroni(t)
	if got := u.Apply(old).ID; got != old.ID {
		t.Errorf("an update moved the app to %q", got)
	}
}

func TestListsOfDefinitions(t *testing.T) {
	us, err := ParseList([]byte(`[{"id": "/a", "cmd": "x"}, {"id": "/b"}]`))
	if err != nil || len(us) != 2 {
		t.Fatalf("ParseList = %d updates, %v", len(us), err)
	}
	for _, tt := range []struct{ in, want string }{
		{`{}`, `{"message":"Invalid JSON","details":[{"path":"/","errors":["error.expected.jsarray"]}]}`},
		{`[`, `{"message":"Invalid JSON","details":"unexpected end of JSON input"}`},
		{`[{"cmd": "x"}, {"id": 1}, 7]`, `{"message":"Invalid JSON","details":[` +
			`{"path":"(0)/id","errors":["error.path.missing"]},{"path":"(1)/id","errors":["error.expected.jsstring"]},` +
			`{"path":"(2)","errors":["error.expected.jsobject"]},{"path":"(2)/id","errors":["error.path.missing"]}]}`},
		{`[{"id": "/a", "cpus": 1e999}]`, `{"message":"Object is not valid","details":[{"path":"(0)/cpus","errors":["is out of range"]}]}`},
	} {
		_, err := ParseList([]byte(tt.in))
		body, jsonErr := json.Marshal(err)
		if jsonErr != nil || string(body) != tt.want {
			t.Errorf("ParseList(%s) answers %s (%v), want %s", tt.in, body, jsonErr, tt.want)
		}
	}
}

func TestErrorsAreMarathonsBodies(t *testing.T) {
	for _, tt := range []struct {
		err  error
		text string
	}{
		{&UnknownAppError{ID: "/x"}, "App '/x' does not exist"},
		{&UnknownAppError{ID: "/x", Version: 1}, "App '/x' does not exist in version 1970-01-01T00:00:00.001Z"},
		{&ExistsError{ID: "/x"}, "An app with id [/x] already exists."},
		{&SyntaxError{Text: "t"}, "invalid JSON: t"},
		{MissingID(), "invalid JSON: /id error.path.missing"},
		{&InvalidError{Details: []Detail{{"/a", []string{"b", "c"}}, {"/d", []string{"e"}}}}, "the definition is not valid: /a b, c; /d e"},
	} {
		if got := tt.err.Error(); got != tt.text {
			t.Errorf("got %q, want %q", got, tt.text)
		}
	}
	got, err := (&LockedError{Deployments: []string{"d1", "d2"}}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"message":"App is locked by one or more deployments. Override with the option '?force=true'. ` +
		`View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{"id":"d1"},{"id":"d2"}]}`
	if strings.TrimSpace(string(got)) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := parsed(t, everything)
	before, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	scribble(a.Clone())
	after, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("writing to a clone changed the app (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(a, a.Clone()); diff != "" {
		t.Errorf("a clone differs (-app +clone):\n%s", diff)
	}
}

// everything gives every field that holds memory of its own. External and secret volumes are beside the point here.
const everything = `{"id": "/x", "args": ["a"], "acceptedResourceRoles": ["*"], "constraints": [["a", "LIKE", "b"]],
	"dependencies": ["/y"], "env": {"A": "b"}, "fetch": [{"uri": "u"}], "labels": {"l": "m"},
	"healthChecks": [{"port": 1, "protocol": "COMMAND", "command": {"value": "c"}}, {"portIndex": 0}],
	"networks": [{"mode": "container", "name": "n", "labels": {"n": "o"}}], "taskKillGracePeriodSeconds": 5, "tty": false,
	"check": {"exec": {"command": {"argv": ["x"]}}}, "executorResources": {}, "resourceLimits": {"cpus": 2, "mem": "unlimited"},
	"secrets": {"s": {"source": "t"}}, "residency": {},
	"readinessChecks": [{"portName": "p"}],
	"container": {"type": "MESOS", "docker": {"image": "i", "parameters": [{"key": "k", "value": "v"}],
		"pullConfig": {"secret": "s"}, "credential": {"principal": "p"}},
		"linuxInfo": {"seccomp": {"unconfined": true}, "ipcInfo": {"shmSize": 4}},
		"portMappings": [{"hostPort": 0, "name": "p", "labels": {"q": "r"}, "networkNames": ["n"]}],
		"volumes": [{"containerPath": "v", "persistent": {"type": "mount", "size": 1, "maxSize": 2, "constraints": [["path", "LIKE", "x"]]}}]}}`

// scribble writes to everything behind a pointer, in a map or in a list of a.
func scribble(a App) {
	for i := range a.Constraints {
		*a.Constraints[i].Value = "scribble"
		a.Constraints[i].Field = "scribble"
	}
	a.Args[0], a.AcceptedResourceRoles[0], a.Dependencies[0] = "scribble", "scribble", "scribble"
	maps.Copy(a.Env, map[string]EnvValue{"A": {Text: "scribble"}})
	a.Fetch[0].URI, a.Labels["l"], a.Networks[0].Labels["n"] = "scribble", "scribble", "scribble"
	*a.HealthChecks[0].Port, a.HealthChecks[0].Command.Value, *a.HealthChecks[1].PortIndex = 9, "scribble", 9
	*a.TaskKillGracePeriodSeconds, a.ReadinessChecks[0].HTTPStatusCodesForReady[0] = 9, 9
	a.Check.Exec.Command.Argv[0], a.ExecutorResources.CPUs, a.ResourceLimits.CPUs.Amount = "scribble", 9, 9
	a.Secrets["s"], a.Residency.TaskLostBehavior, *a.TTY = Secret{Source: "scribble"}, "scribble", true
	c := a.Container
	c.Docker.PullConfig.Secret, c.Docker.Credential.Principal = "scribble", "scribble"
	*c.LinuxInfo.Seccomp.Unconfined, *c.LinuxInfo.IPCInfo.ShmSize = false, 9
	c.Docker.Image, c.Docker.Parameters[0].Key = "scribble", "scribble"
	*c.PortMappings[0].HostPort, c.PortMappings[0].Labels["q"], c.PortMappings[0].NetworkNames[0] = 9, "scribble", "scribble"
	p := c.Volumes[0].Persistent
	*p.MaxSize, *p.Constraints[0].Value, p.Size = 9, "scribble", 9
}

// TestEmptyIsNotNullButNoChange: a list that is left out of the answer may come back empty.
func TestEmptyIsNotNullButNoChange(t *testing.T) {
	a := parsed(t, `{"cmd": "x"}`)
	u, err := Parse([]byte(`{"healthChecks": [], "constraints": [], "env": {}, "labels": {}, "args": []}`))
	if err != nil {
		t.Fatal(err)
	}
	if change := Diff(a, u.Apply(a)); change != ChangeNone {
		t.Errorf("empty lists are a %s change", change)
	}
}

// TestStoredAppsAreReadStrictly: the forms only a broken store can hold are errors, not guesses.
func TestStoredAppsAreReadStrictly(t *testing.T) {
	for _, s := range []string{
		`{"constraints": [["a"]]}`, `{"constraints": [1]}`, `{"version": 1}`, `{"version": "x"}`, `{"env": {"A": 1}}`,
	} {
		var a App
		if err := json.Unmarshal([]byte(s), &a); err == nil {
			t.Errorf("%s was read as %+v", s, a)
		}
	}
	var a App
	if err := json.Unmarshal([]byte(`{"version": null, "env": {"A": {"secret": "s"}}}`), &a); err != nil {
		t.Fatal(err)
	}
	if got := a.Env["A"].Secret; got != "s" {
		t.Errorf("secret = %q, want s", got)
	}
	if b, err := json.Marshal(a.Env); err != nil || string(b) != `{"A":{"secret":"s"}}` {
		t.Errorf("env = %s, %v", b, err)
	}
	if b, err := json.Marshal(Labels(nil)); err != nil || string(b) != `{}` {
		t.Errorf("no labels = %s, %v", b, err)
	}
}
