package mesostest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Runner says how the processes of tasks are made.
type Runner interface {
	// Command is the command of a task, without environment and folder. Images are to be mapped to programs here.
	Command(info wire.TaskInfo) (*exec.Cmd, error)
	// Root is a folder that takes sandboxes and volumes.
	Root() string
	// Own gives a folder to the user the task runs as.
	Own(path string) error
}

// process is what runs for a task. The zero value is a task that is played.
type process struct {
	stop    func(grace time.Duration)
	running func() bool
}

// end asks the process to end, or kills it at once without grace; false where none runs.
func (p process) end(grace time.Duration) bool {
	if p.stop == nil || !p.running() {
		return false
	}
	p.stop(grace)
	return true
}

// run starts the process of a task. Persistent volumes lie beside the sandboxes, with links to them inside.
func (m *Master) run(t *task) (process, error) {
	sandbox := filepath.Join(m.cfg.Run.Root(), t.a.cfg.Hostname, "sandboxes", t.info.TaskID.Value)
	if err := m.furnish(t, sandbox); err != nil {
		return process{}, err
	}
	cmd, err := m.cfg.Run.Command(t.info)
	if err != nil {
		return process{}, err
	}
	cmd.Dir = sandbox
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "MESOS_SANDBOX=" + sandbox, "MESOS_DIRECTORY=" + sandbox, "MESOS_EXECUTOR_ID=" + t.info.TaskID.Value,
		"MESOS_FRAMEWORK_ID=" + t.framework, "MESOS_SLAVE_ID=" + t.a.id, "LIBPROCESS_IP=" + t.a.cfg.IP,
	}
	if t.info.Command != nil && t.info.Command.Environment != nil {
		for _, v := range t.info.Command.Environment.Variables {
			cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
		}
	}
	log, err := os.Create(filepath.Join(sandbox, "stdout"))
	if err != nil {
		return process{}, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if err := os.WriteFile(filepath.Join(sandbox, "stderr"), nil, 0o644); err != nil { //nolint:gosec // a test's
		return process{}, err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // the end of a task is the end of all of it
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start task: %w", err)
	}
	return m.watch(t, cmd), nil
}

// furnish makes the sandbox of a task with the files it has fetched, and the folders of its volumes.
func (m *Master) furnish(t *task, sandbox string) error {
	if err := os.MkdirAll(sandbox, 0o755); err != nil {
		return err
	}
	if err := m.cfg.Run.Own(sandbox); err != nil {
		return err
	}
	if err := m.fetch(t, sandbox); err != nil {
		return err
	}
	for _, r := range t.info.Resources {
		if r.Disk == nil || r.Disk.Persistence == nil {
			continue
		}
		volume := filepath.Join(m.cfg.Run.Root(), t.a.cfg.Hostname, "volumes", r.Disk.Persistence.ID)
		link := filepath.Join(sandbox, r.Disk.Volume.ContainerPath)
		err := errors.Join(os.MkdirAll(volume, 0o755), m.cfg.Run.Own(volume)) // as the agent does at each launch
		if err == nil {
			err = os.Symlink(volume, link)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// erase removes what lies in volumes that were destroyed.
func (m *Master) erase(a *agent, volumes []wire.Resource) {
	for _, v := range volumes {
		if m.cfg.Play != nil {
			m.cfg.Play.Destroyed(a.cfg.Hostname, v)
		}
		if m.cfg.Run == nil {
			continue
		}
		_ = os.RemoveAll(filepath.Join(m.cfg.Run.Root(), a.cfg.Hostname, "volumes", v.Disk.Persistence.ID))
	}
}

// watch waits for the end of the process and reports it.
func (m *Master) watch(t *task, cmd *exec.Cmd) process {
	ended := make(chan struct{})
	group := -cmd.Process.Pid
	m.work.Go(func() {
		err := cmd.Wait()
		_ = syscall.Kill(group, syscall.SIGKILL) // what it left behind
		close(ended)
		m.mu.Lock()
		defer m.mu.Unlock()
		t.exited(err)
		if !m.closed {
			m.offer()
		}
	})
	m.attend(t, cmd, ended)
	var once sync.Once
	return process{
		stop: func(grace time.Duration) {
			once.Do(func() {
				if grace > 0 {
					KillTree(cmd.Process.Pid, syscall.SIGTERM)
				}
				m.work.Go(func() {
					timer := time.NewTimer(grace)
					defer timer.Stop()
					select {
					case <-ended:
					case <-timer.C:
						_ = syscall.Kill(group, syscall.SIGKILL)
					}
				})
			})
		},
		running: func() bool {
			select {
			case <-ended:
				return false
			default:
				return true
			}
		},
	}
}

// exited is the end of a task by the end of its process: killed whatever its status, where it was asked to end.
func (t *task) exited(err error) {
	switch {
	case t.state == "TASK_KILLING":
		t.end("TASK_KILLED", t.killing, "Command terminated with signal Terminated")
	case err == nil:
		t.end("TASK_FINISHED", "", "Command exited with status 0")
	default:
		t.end("TASK_FAILED", "", "Command "+err.Error())
	}
}

// Sandboxes are the sandboxes on an agent, sorted.
func (m *Master) Sandboxes(hostname string) []string {
	entries, err := os.ReadDir(filepath.Join(m.cfg.Run.Root(), hostname, "sandboxes"))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}
