package app

// Wait is something that is wanted and not done now.
type Wait struct {
	App      ID         `json:"app"`
	Instance InstanceID `json:"instance,omitempty"` // empty when it is about the app
	Why      string     `json:"why"`                // one sentence; it stays the same as long as the reason does
}
