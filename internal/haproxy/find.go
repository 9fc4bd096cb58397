package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// ErrMissing says that HAProxy is not installed.
var ErrMissing = errors.New("HAProxy is not installed; install it (Debian: apt-get install haproxy)")

// elsewhere is where distributions put the program; an ordinary user's PATH often lacks it.
const elsewhere = "/usr/sbin/haproxy"

// Find returns the path of the installed program, or ErrMissing.
func Find() (string, error) {
	for _, name := range []string{"haproxy", elsewhere} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// version is what "haproxy -v" begins with.
var version = regexp.MustCompile(`(?m)^HA-?Proxy version (\d+)\.(\d+)`)

// checkVersion refuses a HAProxy that cannot add servers with checks at run time.
func checkVersion(ctx context.Context, binary string) error {
	out, err := exec.CommandContext(ctx, binary, "-v").Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", binary, err)
	}
	return judgeVersion(binary, string(out))
}

func judgeVersion(binary, text string) error {
	v := version.FindStringSubmatch(text)
	if v == nil {
		return fmt.Errorf("%s does not say which version of HAProxy it is", binary)
	}
	major, _ := strconv.Atoi(v[1]) // Digits.
	minor, _ := strconv.Atoi(v[2]) // Digits.
	if major < 2 || major == 2 && minor < 6 {
		return fmt.Errorf("%s is HAProxy %s.%s, which cannot add servers at run time; install 2.6 or newer", binary, v[1], v[2])
	}
	return nil
}
