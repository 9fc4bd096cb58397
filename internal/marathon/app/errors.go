package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnavailable is wrapped by errors of a scheduler that cannot answer now (its store is out of reach, it does not lead)
// and may later.
var ErrUnavailable = errors.New("the scheduler cannot answer now")

// ErrUnknownHost is wrapped by errors about a host name nobody has.
var ErrUnknownHost = errors.New("no such host")

// Detail is what is wrong at one place of a definition. The place is written as Marathon does: "/cpus",
// "/healthChecks(0)/portIndex", "/" for the whole.
type Detail struct {
	Path   string   `json:"path"`
	Errors []string `json:"errors"`
}

// SyntaxError says that a body is not JSON at all (400).
type SyntaxError struct{ Text string }

// Error is the sentence for a log.
func (e *SyntaxError) Error() string { return "invalid JSON: " + e.Text }

// MarshalJSON is the body Marathon answers with; details is a string here.
func (e *SyntaxError) MarshalJSON() ([]byte, error) {
	return verbatim(struct {
		Message string `json:"message"`
		Details string `json:"details"`
	}{"Invalid JSON", e.Text})
}

// TypeError says that values have the wrong JSON type or are missing (400).
type TypeError struct{ Details []Detail }

// Error is the sentence for a log.
func (e *TypeError) Error() string { return "invalid JSON: " + sentence(e.Details) }

// MarshalJSON is the body Marathon answers with.
func (e *TypeError) MarshalJSON() ([]byte, error) { return detailed("Invalid JSON", e.Details) }

// InvalidError says that a definition has the right shape but cannot be (422).
type InvalidError struct{ Details []Detail }

// Error is the sentence for a log.
func (e *InvalidError) Error() string { return "the definition is not valid: " + sentence(e.Details) }

// MarshalJSON is the body Marathon answers with.
func (e *InvalidError) MarshalJSON() ([]byte, error) {
	return detailed("Object is not valid", e.Details)
}

// UnknownAppError says that there is no such app, or, with Version set, no such version of it (404).
type UnknownAppError struct {
	ID      ID
	Version Timestamp
}

// Error is Marathon's message.
func (e *UnknownAppError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("App '%s' does not exist", e.ID)
	}
	return fmt.Sprintf("App '%s' does not exist in version %s", e.ID, e.Version)
}

// ExistsError says that an app with that id is there already (409).
type ExistsError struct{ ID ID }

// Error is Marathon's message.
func (e *ExistsError) Error() string { return fmt.Sprintf("An app with id [%s] already exists.", e.ID) }

// LockedError says that running deployments touch the same apps and force was not given (409).
type LockedError struct{ Deployments []string }

// Error is Marathon's message.
func (e *LockedError) Error() string {
	return "App is locked by one or more deployments. Override with the option '?force=true'. " +
		"View details at '/v2/deployments/<DEPLOYMENT_ID>'."
}

// MarshalJSON is the body Marathon answers with: clients read the ids of the deployments from it.
func (e *LockedError) MarshalJSON() ([]byte, error) {
	type ref struct {
		ID string `json:"id"`
	}
	refs := make([]ref, 0, len(e.Deployments))
	for _, id := range e.Deployments {
		refs = append(refs, ref{id})
	}
	return verbatim(struct {
		Message     string `json:"message"`
		Deployments []ref  `json:"deployments"`
	}{e.Error(), refs})
}

func detailed(message string, details []Detail) ([]byte, error) {
	return verbatim(struct {
		Message string   `json:"message"`
		Details []Detail `json:"details"`
	}{message, details})
}

// verbatim is JSON with <, > and & as they are.
func verbatim(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func sentence(details []Detail) string {
	parts := make([]string, 0, len(details))
	for _, d := range details {
		parts = append(parts, d.Path+" "+strings.Join(d.Errors, ", "))
	}
	return strings.Join(parts, "; ")
}

// note adds an error at a path, keeping one detail for each path and each error once.
func note(details []Detail, path, text string) []Detail {
	for i := range details {
		if details[i].Path != path {
			continue
		}
		if !slices.Contains(details[i].Errors, text) {
			details[i].Errors = append(details[i].Errors, text)
		}
		return details
	}
	return append(details, Detail{Path: path, Errors: []string{text}})
}
