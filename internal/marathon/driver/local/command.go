package local

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// passed are the variables a task inherits from this process; nothing else leaks in.
var passed = []string{"PATH", "LANG", "LC_ALL", "TZ"}

// placeholder is a {NAME} in the command of an image.
var placeholder = regexp.MustCompile(`\{([A-Z][A-Z0-9_]*)\}`)

// marker is the variable by which a task's processes are recognised before anything else is known of them.
const marker = "MESOS_TASK_ID"

// visible is the part of a task's environment that is no secret: what the spec says and what is true here. The latter
// wins, for a task that was lied to about its folder or address would write outside of it.
func (d *Driver) visible(s driver.Spec, h Host, work string) map[string]string {
	env := maps.Clone(s.Env)
	if env == nil {
		env = map[string]string{}
	}
	env[marker] = string(s.Task)
	env["MESOS_SANDBOX"] = work
	env["PGBATON_VOLUME_ROOT"] = work
	env["PGBATON_BIND_ADDRESS"] = h.Address
	env["PGBATON_HOST_ALIASES"] = d.aliases()
	env["HOST_IP"] = h.Address
	return env
}

// aliases is "name=address,…" of every host and configured alias, sorted by name.
func (d *Driver) aliases() string {
	table := map[string]string{}
	for _, h := range d.cfg.Hosts {
		table[h.Name] = h.Address
	}
	maps.Copy(table, d.cfg.Aliases)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		pairs = append(pairs, name+"="+table[name])
	}
	return strings.Join(pairs, ",")
}

// environ is the whole environment of a task: inherited, then the platform's, then its own.
func (d *Driver) environ(visible map[string]string) []string {
	all := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": visible["MESOS_SANDBOX"]}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			all[name] = v
		}
	}
	maps.Copy(all, d.cfg.Env)
	maps.Copy(all, visible)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// argv is the program of a task and its arguments, the program with its absolute path.
func (d *Driver) argv(s driver.Spec, env map[string]string) ([]string, error) {
	argv, err := d.words(s, env)
	if err != nil {
		return nil, err
	}
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(env["MESOS_SANDBOX"], argv[0])
		return argv, nil // whether it can be executed is seen when its files are there
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("program %s of image %q was not found on this machine", argv[0], s.Image())
	}
	argv[0], err = filepath.Abs(program)
	return argv, err
}

// words follows Docker: cmd replaces the image's program, args are appended to it.
func (d *Driver) words(s driver.Spec, env map[string]string) ([]string, error) {
	if s.App.Cmd != "" {
		return []string{"/bin/sh", "-c", s.App.Cmd}, nil
	}
	if s.Image() == "" && len(s.App.Args) == 0 {
		return nil, fmt.Errorf("the app has neither a container image nor a command")
	}
	if s.Image() == "" {
		return slices.Clone(s.App.Args), nil
	}
	image, ok := d.image(s.Image())
	if !ok {
		return nil, fmt.Errorf("no command of this machine stands for image %q; known are %s", s.Image(), d.patterns())
	}
	var words []string
	for _, word := range image.Command {
		expanded, err := expand(word, env)
		if err != nil {
			return nil, fmt.Errorf("command of image %q: %w", image.Pattern, err)
		}
		words = append(words, expanded)
	}
	return append(words, s.App.Args...), nil
}

// expand replaces each {NAME} by the variable of that name.
func expand(word string, env map[string]string) (string, error) {
	var missing string
	out := placeholder.ReplaceAllStringFunc(word, func(match string) string {
		name := match[1 : len(match)-1]
		value, ok := env[name]
		if !ok {
			missing = name
		}
		return value
	})
	if missing != "" {
		return "", fmt.Errorf("the task has no variable %s", missing)
	}
	return out, nil
}

// image finds the first pattern that matches the name.
func (d *Driver) image(name string) (Image, bool) {
	if !strings.ContainsRune(path.Base(name), ':') {
		name += ":latest"
	}
	for _, i := range d.cfg.Images {
		subject := name
		if !strings.ContainsRune(i.Pattern, '/') {
			subject = path.Base(name)
		}
		if ok, err := path.Match(i.Pattern, subject); ok && err == nil {
			return i, true
		}
	}
	return Image{}, false
}

func (d *Driver) patterns() string {
	var list []string
	for _, i := range d.cfg.Images {
		list = append(list, strconv.Quote(i.Pattern))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// checkUser refuses a user the task would not run as.
func (d *Driver) checkUser(name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err == nil && u.Uid == strconv.Itoa(d.cfg.uid()) {
		return nil
	}
	return fmt.Errorf("the app asks for user %q, tasks of this machine run as user id %d", name, d.cfg.uid())
}

// canListen reports whether nothing listens on the port; port 0 asks whether the address is ours at all.
func canListen(address string, port int) bool {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(address), Port: port})
	if err != nil {
		return false
	}
	return l.Close() == nil
}
