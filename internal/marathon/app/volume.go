package app

import "errors"

// StrayVolume is a volume that a host offers and no instance claims. It is shown and never destroyed by itself: it may be
// the only copy of a database whose scheduler has lost its memory.
type StrayVolume struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	// App is whose it was by its name, empty for a name that no instance has.
	App ID `json:"app,omitempty"`
	// Framework is the other framework of the platform that it belongs to, empty where it is the scheduler's own.
	Framework string `json:"framework,omitempty"`
}

var (
	// ErrNoVolume is wrapped where an app has no stray volume of the scheduler's own (404).
	ErrNoVolume = errors.New("no such volume")
	// ErrNotStray is wrapped where volumes cannot be adopted because the scheduler knows their app (409).
	ErrNotStray = errors.New("the app is known")
)
