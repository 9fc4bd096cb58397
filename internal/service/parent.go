package service

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a container's manager, or an operator, sends to process 1 and means the agent.
func forwarded() []os.Signal {
	return []os.Signal{unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGINT, unix.SIGABRT, unix.SIGTERM}
}

// signalled is added to the number of the signal that ended a program, as shells do.
const signalled = 128

// Parent starts a program with our own files and does the duties of process 1 until that program ends. It returns the
// program's exit code.
//
// It waits for every child of this process: nothing else here may start one.
func Parent(path string, args, env []string) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}, Sys: ownGroup()})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go forward(pid, signals, ended)
	return reap(pid)
}

// ownGroup puts the program into a process group of its own, in front of the terminal where there is one: a Ctrl-C would
// reach it twice otherwise. What ends a whole process tree still reaches it twice, so the program has to take the second
// request for an echo of the first.
func ownGroup() *syscall.SysProcAttr {
	_, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return &syscall.SysProcAttr{Setpgid: true, Foreground: err == nil}
}

// forward hands signals on. The program's number cannot become another process's meanwhile: nobody but reap waits for
// it, and with that Parent ends.
func forward(pid int, signals <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			if number, ok := s.(unix.Signal); ok {
				unix.Kill(pid, number) //nolint:errcheck // it is there until reap has seen its end
			}
		case <-ended:
			return
		}
	}
}

// reap waits for whatever ends until the program does.
func reap(program int) (int, error) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for process %d: %w", program, err)
		case pid == program && status.Signaled():
			return signalled + int(status.Signal()), nil
		case pid == program && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}
