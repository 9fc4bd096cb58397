package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// maxSecret bounds the length of a secret in bytes: it has to fit into an environment.
const maxSecret = 64 << 10

var errSecretTooLong = fmt.Errorf("it is longer than %d bytes", maxSecret)

// secrets are the values of the secrets of an app by their name in the definition, read anew for each launch, or why one of
// them cannot be had. A source is the name of a file in the folder of secrets and can lead nowhere else.
func (s *Scheduler) secrets(def app.App) (map[string]secret.Text, string) {
	if len(def.Secrets) == 0 {
		return nil, ""
	}
	if s.cfg.Secrets == "" {
		return nil, "it needs secrets, and the scheduler was not told where they lie (--secrets)"
	}
	root, err := os.OpenRoot(s.cfg.Secrets)
	if err != nil {
		return nil, "the folder of secrets cannot be opened: " + err.Error()
	}
	defer root.Close() //nolint:errcheck // only read
	values := map[string]secret.Text{}
	for _, name := range slices.Sorted(maps.Keys(def.Secrets)) {
		value, err := readSecret(root, def.Secrets[name].Source)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Sprintf("secret %s is missing: there is no file %s in the folder of secrets", name, def.Secrets[name].Source)
		case err != nil:
			return nil, fmt.Sprintf("secret %s cannot be read: %v", name, err)
		}
		values[name] = value
	}
	return values, ""
}

// readSecret reads a file without the end of its last line, which editors add.
func readSecret(root *os.Root, source string) (secret.Text, error) {
	f, err := root.Open(strings.TrimPrefix(source, "/"))
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = errSecretTooLong
	}
	return secret.Text(strings.TrimSuffix(string(text), "\n")), err
}
