package app

// StrayVolume is a volume that a host offers and no instance claims. It is shown and never destroyed by itself: it may be
// the only copy of a database whose scheduler has lost its memory.
type StrayVolume struct {
	ID   string `json:"id"`
	Host string `json:"host"`
}
