package place

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// scenario is what the commands of one file have set up so far.
type scenario struct {
	offers []Offer
	placed []Placed
	need   Need
}

// TestScenarios runs the files in testdata:
//
//	hosts    one line for each: NAME mem=… cpus=… disk=… ports=5432,31000-31010 volumes=… fresh (volumes) v1.mem=…
//	         (kept for the volume v1) and any attribute=value
//	app      a definition in JSON
//	placed   one line for each instance: ID app=/a host=node1 ports=5432 mem=… and any attribute=value of the host
//	choose   places the app; instance= host= volume= ports= shun= (hosts) say what is known of the instance, local= and fleet= (number of
//	         hosts) what is known of the platform
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &scenario{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "hosts":
		s.offers = nil
		for name, f := range lines(d.Input) {
			_, fresh := f["fresh"]
			f.text("fresh")
			s.offers = append(s.offers, Offer{
				Host: name, FreshVolumes: fresh, Kept: f.kept(t), Free: f.resources(t), Reserved: f.reserved(t), Ports: f.ranges(t, "ports"), Volumes: f.list("volumes"), Mounts: f.numbers(t, "mounts"),
				Region: f.text("@region"), Zone: f.text("@zone"), Draining: f.text("draining"), Attributes: f.rest(),
			})
		}
	case "placed":
		s.placed = nil
		for id, f := range lines(d.Input) {
			s.placed = append(s.placed, Placed{
				App: app.ID(f.text("app")), Instance: app.InstanceID(id), Host: f.text("host"), Volume: f.text("volume"),
				Ports: f.ports(t), Holds: f.resources(t), Attributes: f.rest(),
			})
		}
	case "app":
		u, err := app.Parse([]byte(d.Input))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := u.ID()
		s.need = Need{App: u.New(id)}
	case "choose":
		return s.choose(t, d)
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return ""
}

func (s *scenario) choose(t *testing.T, d *datadriven.TestData) string {
	f := fields{}
	for _, arg := range d.CmdArgs {
		f[arg.Key] = strings.Join(arg.Vals, ",")
	}
	n := s.need
	n.Instance, n.Host, n.Volume, n.Ports = app.InstanceID(f.text("instance")), f.text("host"), f.text("volume"), f.ports(t)
	for _, host := range f.list("shun") {
		if n.Shun == nil {
			n.Shun = map[string]bool{}
		}
		n.Shun[host] = true
	}
	fleet := NewFleet(s.offers, s.placed)
	fleet.Local, fleet.Hosts = f.text("local"), int(f.number(t, "fleet"))
	c := fleet.Choose(n)
	var out strings.Builder
	fmt.Fprintln(&out, c.Why)
	if c.Found {
		fmt.Fprintf(&out, "ports: %v\n", c.Ports)
	}
	for _, v := range fleet.Explain(n) {
		if c.Found && !v.Fits {
			fmt.Fprintf(&out, "not %s: %s\n", v.Host, v.Why)
		}
	}
	return out.String()
}

// fields are the key=value words of one line; reading one takes it out.
type fields map[string]string

// lines reads "NAME key=value …", in order.
func lines(input string) func(yield func(string, fields) bool) {
	return func(yield func(string, fields) bool) {
		for line := range strings.Lines(input) {
			words := strings.Fields(line)
			f := fields{}
			for _, w := range words[1:] {
				key, value, _ := strings.Cut(w, "=")
				f[key] = value
			}
			if !yield(words[0], f) {
				return
			}
		}
	}
}

func (f fields) text(key string) string {
	v := f[key]
	delete(f, key)
	return v
}

func (f fields) numbers(t *testing.T, key string) []float64 {
	t.Helper()
	var list []float64
	for _, text := range f.list(key) {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

func (f fields) list(key string) []string {
	if v := f.text(key); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (f fields) number(t *testing.T, key string) float64 {
	v := f.text(key)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f fields) resources(t *testing.T) Resources {
	return Resources{CPUs: f.number(t, "cpus"), Mem: f.number(t, "mem"), Disk: f.number(t, "disk"), GPUs: f.number(t, "gpus")}
}

// kept reads v1.cpus=… v1.mem=… v1.ports=… for the volume v1.
func (f fields) kept(t *testing.T) map[string]Kept {
	k := Kept{Resources{CPUs: f.number(t, "v1.cpus"), Mem: f.number(t, "v1.mem"), Disk: f.number(t, "v1.disk")}, f.ranges(t, "v1.ports")}
	if k.Resources == (Resources{}) {
		return nil
	}
	return map[string]Kept{"v1": k}
}

// reserved reads web.cpus=… web.mem=… for the role web.
func (f fields) reserved(t *testing.T) map[string]Resources {
	web := Resources{CPUs: f.number(t, "web.cpus"), Mem: f.number(t, "web.mem")}
	if web == (Resources{}) {
		return nil
	}
	return map[string]Resources{"web": web}
}

func (f fields) ranges(t *testing.T, key string) Ranges {
	var r Ranges
	for _, part := range f.list(key) {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		begin, err1 := strconv.Atoi(from)
		end, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil {
			t.Fatalf("bad port range %q", part)
		}
		r = append(r, Range{begin, end})
	}
	return r
}

func (f fields) ports(t *testing.T) []int {
	var ports []int
	for _, r := range f.ranges(t, "ports") {
		ports = append(ports, r.Begin)
	}
	return ports
}

func (f fields) rest() map[string]string { return maps.Clone(f) }
