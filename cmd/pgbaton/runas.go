package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// envRunAs names the user an agent goes on as that root has started. The image sets it: platforms give the folders that
	// outlive a task to root, or to whomever a task runs as there, and only root can hand them to PostgreSQL's user.
	envRunAs = "PGBATON_RUN_AS"
	// envVolumeRoot is the folder that a platform keeps all of a task's state in.
	envVolumeRoot = "PGBATON_VOLUME_ROOT"
)

// runAs goes on as another user, where root has started the agent and the environment names that user: what the user has to
// write to becomes theirs, and the program begins again in the same process. It returns only where there is nothing to do,
// or with an error. env is the environment that this process was started with.
func runAs(dataDir string, env map[string]string) error {
	name := os.Getenv(envRunAs)
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	cred, err := credential(name)
	if err != nil {
		return fmt.Errorf("%s: %w", envRunAs, err)
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("%s: %w", envRunAs, err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := handOver(dataDir, os.Getenv(envVolumeRoot), owner{cred: cred, chown: os.Lchown}); err != nil {
		return err
	}
	if err := become(u, cred); err != nil {
		return fmt.Errorf("go on as user %s: %w; a container needs the capabilities SETUID and SETGID for that, or has to be started as that user", name, err)
	}
	if err := syscall.Exec(program, os.Args, ownHome(env, u.HomeDir)); err != nil { //nolint:gosec // this program, as it was called
		return fmt.Errorf("begin again as user %s: %w", name, err)
	}
	return nil
}

// become changes who this process is, with the groups of that user.
func become(u *user.User, cred *syscall.Credential) error {
	ids, err := u.GroupIds()
	if err != nil {
		return err
	}
	groups := []int{int(cred.Gid)}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != groups[0] {
			groups = append(groups, n)
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(int(cred.Gid)); err != nil {
		return err
	}
	return syscall.Setuid(int(cred.Uid))
}

// owner is who folders are handed to.
type owner struct {
	cred  *syscall.Credential
	chown func(path string, uid, gid int) error
}

// handOver gives a user what an agent has to write to: the folder that a platform keeps its state in, the data directory and,
// made where there are none, those it lies in. The folder around the data directory is given too where a mounted file system
// begins with it: it was made for this server. Other folders belong to others, and so does what somebody other than root owns;
// what lies inside of a data directory has the owner it should have, or PostgreSQL says so.
func handOver(dataDir, volume string, o owner) error {
	around := filepath.Dir(dataDir)
	dirs := []string{volume, around, dataDir}
	if around == "/" || exists(around) && !begins(around) {
		dirs = slices.Delete(dirs, 1, 2)
	}
	if !exists(dataDir) {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == dataDir }) // the agent makes it
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if err := o.give(dir); err != nil {
			return fmt.Errorf("give %s to the user in %s: %w", dir, envRunAs, err)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// give gives the user a folder, which is made with those it lies in where there is none.
func (o owner) give(dir string) error {
	at, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if above := filepath.Dir(dir); !exists(above) {
			if err := o.give(above); err != nil {
				return err
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		at, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if owned, ok := at.Sys().(*syscall.Stat_t); !ok || owned.Uid != uint32(os.Geteuid()) {
		return nil
	}
	return o.chown(dir, int(o.cred.Uid), int(o.cred.Gid))
}

// begins reports whether a mounted file system begins with a folder (statx(2), Linux 5.8).
func begins(dir string) bool {
	var at unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_BASIC_STATS, &at); err != nil {
		return false
	}
	return at.Attributes_mask&at.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// ownHome is the environment of a program that another user has begun again.
func ownHome(env map[string]string, home string) []string {
	list := []string{"HOME=" + home}
	for name, value := range env {
		if name != "HOME" {
			list = append(list, name+"="+value)
		}
	}
	slices.Sort(list)
	return list
}
