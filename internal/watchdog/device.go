package watchdog

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// device is an open device, whose timer runs. Every method may hang.
type device interface {
	// setTimeout returns what the device made of it.
	setTimeout(wanted time.Duration) (time.Duration, error)
	feed() error
	// holds reports whether the timer goes on when the process ends.
	holds() bool
	// end stops the timer and closes the device.
	end() error
}

// available says why the device cannot be opened, as far as that shows without opening it.
func available(cfg Config) error {
	err := unix.Access(cfg.Device, unix.W_OK)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("there is no watchdog device %s: load the kernel's driver (softdog where there is no hardware), or set watchdog.mode to off", cfg.Device)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("the watchdog device %s may not be written: give it to the user of the agent", cfg.Device)
	}
	return fmt.Errorf("look at the watchdog device %s: %w", cfg.Device, err)
}

func openDevice(cfg Config) (device, error) {
	flags := unix.O_WRONLY | unix.O_CLOEXEC
	if cfg.Testing {
		flags |= unix.O_APPEND
	}
	fd, err := unix.Open(cfg.Device, flags, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("another program has the watchdog device %s open", cfg.Device)
	case err != nil:
		return nil, fmt.Errorf("open the watchdog device %s: %w", cfg.Device, err)
	case cfg.Testing:
		return &transcript{file: file{fd}}, nil
	}
	info, err := unix.IoctlGetWatchdogInfo(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no watchdog device: %w", cfg.Device, err), unix.Close(fd))
	}
	return &linux{file: file{fd}, options: info.Options}, nil
}

// file is what devices are told things through. It is no os.File: reads and writes of a device are not waited for by the
// runtime.
type file struct{ fd int }

func (f file) write(text string) error {
	for {
		_, err := unix.Write(f.fd, []byte(text))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// What a device is told (Documentation/watchdog/watchdog-api.rst of Linux).
const (
	keepalive  = "1"
	magicClose = "V"
)

func (f file) feed() error { return f.write(keepalive) }

// end keeps the device open when it did not take the V, because closing it would leave a timer that nobody feeds.
func (f file) end() error {
	if err := f.write(magicClose); err != nil {
		return err
	}
	return unix.Close(f.fd)
}

// linux is a device of the kernel.
type linux struct {
	file

	options uint32
}

func (l *linux) setTimeout(wanted time.Duration) (time.Duration, error) {
	if l.options&unix.WDIOF_SETTIMEOUT != 0 {
		if err := unix.IoctlSetPointerInt(l.fd, unix.WDIOC_SETTIMEOUT, int(wanted/time.Second)); err != nil {
			return 0, os.NewSyscallError("set the timeout to "+wanted.String(), err)
		}
	}
	seconds, err := unix.IoctlGetInt(l.fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return 0, os.NewSyscallError("read the timeout", err)
	}
	return time.Duration(seconds) * time.Second, nil
}

func (l *linux) holds() bool { return l.options&unix.WDIOF_MAGICCLOSE != 0 }

// transcript writes down what a device would be told.
type transcript struct{ file }

func (t *transcript) setTimeout(wanted time.Duration) (time.Duration, error) {
	return wanted, t.write("Ctimeout=" + strconv.Itoa(int(wanted/time.Second)) + "\n")
}

func (t *transcript) holds() bool { return true }
