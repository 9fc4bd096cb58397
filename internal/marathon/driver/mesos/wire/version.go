package wire

import "fmt"

// AnswersForOperations reports whether masters of that version, and so their agents, tell how operations that have ids end
// (since Mesos 1.8); false for what is no version.
func AnswersForOperations(version string) bool {
	var major, minor int
	n, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err == nil && n == 2 && (major > 1 || minor >= 8)
}
