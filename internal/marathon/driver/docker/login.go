package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Logins to registries are kept where `docker login` keeps them, in a config.json. Whose counts is what Mesos does: that of
// the definition (its pullConfig, or a .docker/config.json or .dockercfg among the files it fetches), else the scheduler's.

// hub is what Docker's own registry is called in such a file, and in the name of an image.
const (
	hub      = "https://index.docker.io/v1/"
	hubImage = "docker.io"
)

// pull brings an image to a daemon, or its newest version.
func (d *Driver) pull(ctx context.Context, l launch, name string, files fetched) error {
	auth, err := d.login(ctx, l, name, files)
	if err != nil {
		return failed(app.TaskFailed, "log in to the registry of image %s: %w", name, err)
	}
	answer, err := l.daemon.api.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		defer answer.Close() //nolint:errcheck // only read
		err = answer.Wait(ctx)
	}
	if err != nil {
		return failed(app.TaskFailed, "image %s cannot be pulled to host %s: %w", name, l.host.Name, err)
	}
	return nil
}

// login is what the daemon shows the registry of an image; empty where nobody has a login there.
func (d *Driver) login(ctx context.Context, l launch, image string, files fetched) (string, error) {
	if c := l.spec.App.Container.Docker.Credential; c != nil {
		return authconfig.Encode(registry.AuthConfig{Username: c.Principal, Password: c.Secret})
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	known, err := d.logins(l, files)
	if err != nil || known == nil {
		return "", err
	}
	at := reference.Domain(named)
	if at == hubImage {
		at = hub
	}
	found, err := ask(ctx, known, at)
	if err != nil {
		return "", fmt.Errorf("ask for the login at %s: %w", at, err)
	}
	auth := registry.AuthConfig{
		Username: found.Username, Password: found.Password, ServerAddress: found.ServerAddress, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}
	if cmp.Or(auth.Username, auth.IdentityToken, auth.RegistryToken) == "" {
		return "", nil
	}
	return authconfig.Encode(auth)
}

// askWithin is how long a program that knows passwords may take.
const askWithin = time.Minute

// ask looks for the login at a registry. Programs that know passwords cannot be ended from here: one that hangs is left alone.
func ask(ctx context.Context, known *configfile.ConfigFile, registry string) (types.AuthConfig, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askWithin, fmt.Errorf("the program that knows it did not answer within %v", askWithin))
	defer cancel()
	type answer struct {
		login types.AuthConfig
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		login, err := known.GetAuthConfig(registry)
		answers <- answer{login, err}
	}()
	select {
	case a := <-answers:
		return a.login, a.err
	case <-ctx.Done():
		return types.AuthConfig{}, context.Cause(ctx)
	}
}

// logins are those that count for a task, nil where there are none. A definition cannot name programs that know passwords:
// they would run on the scheduler's machine.
func (d *Driver) logins(l launch, files fetched) (*configfile.ConfigFile, error) {
	text, own, err := l.ownLogins(files)
	if err != nil {
		return nil, err
	}
	if own {
		known, err := config.LoadFromReader(strings.NewReader(text))
		if err != nil {
			return nil, errors.New("the logins of the app are no config.json of docker")
		}
		known.CredentialsStore, known.CredentialHelpers = "", nil
		return known, nil
	}
	if d.cfg.DockerConfig == "" {
		return nil, nil //nolint:nilnil // no logins are no error
	}
	f, err := os.Open(filepath.Clean(d.cfg.DockerConfig))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // as above: nobody has logged in yet
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	known, err := config.LoadFromReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.cfg.DockerConfig, err)
	}
	known.Filename = d.cfg.DockerConfig
	return known, nil
}

// ownLogins is the text of the file of logins that a definition brings, if it brings one.
func (l launch) ownLogins(files fetched) (text string, own bool, err error) {
	if c := l.spec.App.Container.Docker.PullConfig; c != nil {
		value, known := l.spec.Secrets[c.Secret]
		if !known {
			return "", false, fmt.Errorf("nobody knows secret %s of pullConfig", c.Secret)
		}
		return value.Reveal(), true, nil
	}
	if files == "" {
		return "", false, nil
	}
	root, err := os.OpenRoot(string(files))
	if err != nil {
		return "", false, err
	}
	defer root.Close() //nolint:errcheck // only read
	for _, form := range []struct{ name, before, after string }{{".docker/config.json", "", ""}, {".dockercfg", `{"auths":`, "}"}} {
		found, err := root.ReadFile(form.name)
		if err == nil {
			return form.before + string(found) + form.after, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", false, err
		}
	}
	return "", false, nil
}
