package app

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWhatIsWrittenIsReadBack is the law that clients (and the store) rely on: the JSON of an app describes that app.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genApp().Draw(t, "app")
		if err := a.Validate(); err != nil {
			t.Fatalf("the generator makes impossible apps: %v", err)
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		u, err := Parse(b)
		if err != nil {
			t.Fatalf("Parse(%s): %v", b, err)
		}
		if diff := cmp.Diff(a, u.New(a.ID)); diff != "" {
			t.Fatalf("Parse(%s) (-want +got):\n%s", b, diff)
		}

		stored := a.Created(Timestamp(rapid.Int64Range(1, 1<<40).Draw(t, "now")))
		if b, err = json.Marshal(stored); err != nil {
			t.Fatal(err)
		}
		var back App
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stored, back); diff != "" {
			t.Fatalf("json.Unmarshal(%s) (-want +got):\n%s", b, diff)
		}
	})
}

// TestUpdateWithItselfIsNoChange: what a client got, sent back, restarts nothing.
func TestUpdateWithItselfIsNoChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genApp().Draw(t, "app")
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		u, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if change := Diff(a, u.Apply(a)); change != ChangeNone {
			t.Fatalf("%s sent back is a %s change", b, change)
		}
	})
}

// TestUpdateReplacesWhatItGives: applying the whole of one app to another leaves nothing of the other but what the first
// does not mention.
func TestUpdateReplacesWhatItGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := genApp().Draw(t, "from"), genApp().Draw(t, "to")
		b, err := json.Marshal(to)
		if err != nil {
			t.Fatal(err)
		}
		u, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		untouched, err := json.Marshal(from)
		if err != nil {
			t.Fatal(err)
		}
		got := u.Apply(from)
		for _, field := range []struct {
			name      string
			want, got any
		}{
			{"cpus", to.CPUs, got.CPUs},
			{"labels", to.Labels, got.Labels},
			{"networks", to.Networks, got.Networks},
			{"instances", to.Instances, got.Instances},
			{"upgradeStrategy", to.UpgradeStrategy, got.UpgradeStrategy},
		} {
			if diff := cmp.Diff(field.want, field.got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", field.name, diff)
			}
		}
		if after, err := json.Marshal(from); err != nil || string(after) != string(untouched) {
			t.Fatalf("the old app was changed: %s, was %s (%v)", after, untouched, err)
		}
	})
}

// FuzzParse: no input makes Parse panic or hang, every error is one of three, and what passes is stable.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		everything, `{}`, `[]`, `null`, `{"id":`, `{"version":"2026-11-30T12:00:00.000Z"}`,
		`{"container":{"docker":{"image":"x","network":"BRIDGE","portMappings":[{"containerPort":5432,"hostPort":0}]}}}`,
		`{"cmd":"x","ports":[0,1],"uris":["u"],"constraints":[{"field":"a","operator":"UNIQUE"}]}`,
		`{"ipAddress":{"networkName":"n","discovery":{"ports":[{"number":1}]}},"cmd":"x"}`,
		`{"cmd":"x","unreachableStrategy":"disabled","env":{"A":{"secret":"s"}},"instances":0.1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := Parse(data)
		if err != nil {
			_, syntax := errors.AsType[*SyntaxError](err)
			_, types := errors.AsType[*TypeError](err)
			_, invalid := errors.AsType[*InvalidError](err)
			if !syntax && !types && !invalid {
				t.Fatalf("Parse(%q) failed with %T", data, err)
			}
			if _, err := json.Marshal(err); err != nil {
				t.Fatal(err)
			}
			return
		}
		a := u.New("/fuzz")
		if a.Validate() != nil {
			return
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b)
		if err != nil {
			t.Fatalf("%q became %s, which is refused: %v", data, b, err)
		}
		next := again.New("/fuzz")
		if err := next.Validate(); err != nil {
			t.Fatalf("%q became %s, which is invalid: %v", data, b, err)
		}
		if change := Diff(a, next); change != ChangeNone {
			t.Fatalf("%q became %s, which reads as a %s change", data, b, change)
		}
		a.TaskEnv("t", "h", nil)
	})
}

// genApp makes any valid app in canonical form, without a version.
func genApp() *rapid.Generator[App] {
	return rapid.Custom(func(t *rapid.T) App {
		a := defaults()
		a.ID = genID().Draw(t, "id")
		a.Instances = rapid.IntRange(0, 9).Draw(t, "instances")
		a.CPUs = rapid.Float64Range(0, 64).Draw(t, "cpus")
		a.Mem = float64(rapid.IntRange(0, 1<<20).Draw(t, "mem"))
		a.Disk = float64(rapid.IntRange(0, 1<<20).Draw(t, "disk"))
		a.BackoffFactor = rapid.Float64Range(1, 10).Draw(t, "backoffFactor")
		a.BackoffSeconds = rapid.IntRange(0, 100).Draw(t, "backoffSeconds")
		a.MaxLaunchDelaySeconds = rapid.IntRange(0, 1000).Draw(t, "maxLaunchDelaySeconds")
		a.KillSelection = rapid.SampledFrom([]KillSelection{YoungestFirst, OldestFirst}).Draw(t, "killSelection")
		a.UpgradeStrategy.MaximumOverCapacity = rapid.Float64Range(0, 1).Draw(t, "over")
		a.UpgradeStrategy.MinimumHealthCapacity = rapid.Float64Range(0, 1).Draw(t, "healthy")
		a.TaskKillGracePeriodSeconds = rapid.Ptr(rapid.IntRange(0, 100), true).Draw(t, "grace")
		a.User = rapid.SampledFrom([]string{"", "nobody"}).Draw(t, "user")
		a.Labels = rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "labels")
		a.Env = orNil(rapid.MapOfN(rapid.StringMatching(`[A-Z][A-Z0-9_.]{0,8}`), genEnvValue(), 0, 3).Draw(t, "env"))
		a.Dependencies = orNone(rapid.SliceOfN(genID(), 0, 2).Draw(t, "dependencies"))
		a.Fetch = orNone(rapid.SliceOfN(genFetch(), 0, 2).Draw(t, "fetch"))
		a.Constraints = orNone(rapid.SliceOfN(genConstraint(), 0, 3).Draw(t, "constraints"))
		if rapid.Bool().Draw(t, "disabled") {
			a.UnreachableStrategy = UnreachableStrategy{Disabled: true}
		}
		genRun(t, &a)
		genNetwork(t, &a)
		a.HealthChecks = orNone(rapid.SliceOfN(genHealthCheck(len(a.Ports())), 0, 2).Draw(t, "healthChecks"))
		return a
	})
}

func genID() *rapid.Generator[ID] {
	return rapid.Map(rapid.StringMatching(`(/[a-z0-9]{1,3}){1,3}`), func(s string) ID { return ID(s) })
}

func genEnvValue() *rapid.Generator[EnvValue] {
	return rapid.Map(rapid.StringMatching(`[ -~]{0,8}`), func(s string) EnvValue { return EnvValue{Text: s} })
}

func genFetch() *rapid.Generator[Fetch] {
	return rapid.Custom(func(t *rapid.T) Fetch {
		return Fetch{URI: "http://x", Extract: rapid.Bool().Draw(t, "extract"), Cache: rapid.Bool().Draw(t, "cache")}
	})
}

func genConstraint() *rapid.Generator[Constraint] {
	return rapid.Custom(func(t *rapid.T) Constraint {
		c := Constraint{Field: rapid.SampledFrom([]string{"hostname", "@zone"}).Draw(t, "field")}
		c.Operator = rapid.SampledFrom(operators()).Draw(t, "operator")
		number := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")
		if c.Operator != OperatorUnique {
			c.Value = &number
		}
		return c
	})
}

func genRun(t *rapid.T, a *App) {
	switch rapid.IntRange(0, 2).Draw(t, "run") {
	case 0:
		a.Cmd = "sleep 1"
	case 1:
		a.Args = []string{"sleep", "1"}
	default:
		a.Container = &Container{
			Type:    rapid.SampledFrom([]ContainerType{ContainerDocker, ContainerMesos}).Draw(t, "type"),
			Docker:  &Docker{Image: "i", Privileged: rapid.Bool().Draw(t, "privileged"), Parameters: []Parameter{}},
			Volumes: []Volume{},
		}
		if rapid.Bool().Draw(t, "volume") {
			a.Container.Volumes = []Volume{{ContainerPath: "/a", HostPath: "/b", Mode: "RO"}}
		}
	}
}

func genNetwork(t *rapid.T, a *App) {
	n := Network{Mode: rapid.SampledFrom([]NetworkMode{NetworkHost, NetworkBridge, NetworkContainer}).Draw(t, "mode")}
	if n.Mode == NetworkContainer {
		n.Name = "net"
	}
	a.Networks = []Network{n}
	count := rapid.IntRange(0, 3).Draw(t, "ports")
	if n.Mode == NetworkHost {
		a.PortDefinitions = []PortDefinition{}
		for i := range count {
			a.PortDefinitions = append(a.PortDefinitions, PortDefinition{Port: i * 1000, Protocol: "udp,tcp", Labels: Labels{}})
		}
		a.RequirePorts = rapid.Bool().Draw(t, "requirePorts")
		return
	}
	if a.Container == nil {
		a.Container = &Container{Type: ContainerMesos, Volumes: []Volume{}}
	}
	a.Container.PortMappings = []PortMapping{}
	for i := range count {
		m := PortMapping{ContainerPort: i * 1000, ServicePort: i, Protocol: "tcp", Labels: Labels{"i": "j"}}
		if n.Mode == NetworkBridge || rapid.Bool().Draw(t, "published") {
			m.HostPort = new(int)
		}
		a.Container.PortMappings = append(a.Container.PortMappings, m)
	}
}

func genHealthCheck(ports int) *rapid.Generator[HealthCheck] {
	return rapid.Custom(func(t *rapid.T) HealthCheck {
		h := HealthCheck{
			Protocol: rapid.SampledFrom([]Protocol{ProtocolHTTP, ProtocolHTTPS, ProtocolTCP}).Draw(t, "protocol"),
			Path:     rapid.SampledFrom([]string{"", "/health"}).Draw(t, "path"), IPProtocol: "IPv4",
			IntervalSeconds: rapid.IntRange(0, 60).Draw(t, "interval"),
		}
		n := rapid.IntRange(0, max(ports-1, 0)).Draw(t, "port")
		if ports > 0 && rapid.Bool().Draw(t, "index") {
			h.PortIndex = &n
			return h
		}
		h.Port = &n
		return h
	})
}

// orNone is nil for an empty list: that is how a list that is left out of the JSON comes back.
func orNone[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func orNil[K comparable, V any](m map[K]V) map[K]V {
	if len(m) == 0 {
		return nil
	}
	return m
}
