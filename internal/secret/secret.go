package secret

import (
	"fmt"
	"io"
)

// hidden stands wherever a secret would have stood.
const hidden = "[hidden]"

// Text is a secret. Formatting, logging and encoding it show that it is set, never what it is. A plain
// text in YAML or JSON decodes into it. The empty Text is "not set" and is shown as empty.
type Text string

// Reveal returns the secret itself, for the one place that has to send or store it.
func (t Text) Reveal() string { return string(t) }

// String hides the secret.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return hidden
}

// Format hides the secret from every verb of package fmt, %q, %x and %#v included.
func (t Text) Format(state fmt.State, _ rune) { io.WriteString(state, t.String()) }

// MarshalText hides the secret from encoders that ask for text: JSON, YAML and the text form of log/slog.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
