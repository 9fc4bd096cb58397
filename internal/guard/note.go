package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
)

// Note is what a guard that stopped a server leaves for the agent.
type Note struct {
	// At is when it had done so, by the wall clock.
	At time.Time `json:"at"`
	// PID is the postmaster's process number, zero when only other processes of the server were left.
	PID int `json:"pid"`
	// Why is the reason in one sentence.
	Why string `json:"why"`
	// Signal is the hardest one that it took.
	Signal string `json:"signal"`
	// Trouble says what did not end, empty when all did.
	Trouble string `json:"trouble,omitempty"`
}

func notePath(dir string) string { return dir + ".guard-note" }

// leave writes the note, whole or not at all.
func (n Note) leave(dir string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("leave a note: %w", err)
	}
	if err := renameio.WriteFile(notePath(dir), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("leave a note: %w", err)
	}
	return nil
}

// takeNote reads the note and removes it. The bool is false when there is none.
func takeNote(dir string) (Note, bool, error) {
	text, err := os.ReadFile(notePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return Note{}, false, nil
	}
	if err != nil {
		return Note{}, false, fmt.Errorf("read the guard's note: %w", err)
	}
	var n Note
	if err := json.Unmarshal(text, &n); err != nil {
		n.Why = fmt.Sprintf("its note cannot be read: %v", err)
	}
	if err := os.Remove(notePath(dir)); err != nil {
		return n, true, fmt.Errorf("remove the guard's note: %w", err)
	}
	return n, true, nil
}
