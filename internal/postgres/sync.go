package postgres

import "context"

// SyncNames is what a server's synchronous_standby_names shall be. Where it is not Managed, the operator's own
// configuration decides.
type SyncNames struct {
	Managed bool
	Text    string
}

// SetSyncNames makes the server's commits wait for the named standbys, and returns when every process of the server goes by
// it.
func (s *Server) SetSyncNames(context.Context, SyncNames) error { return ErrNotRunning }

// EmitWAL writes a record that changes nothing and waits until it is safe on disk.
func (s *Server) EmitWAL(context.Context) error { return ErrNotRunning }

// AdmitClients lets in the clients that a start with Hold kept out.
func (s *Server) AdmitClients(context.Context) error { return ErrNotRunning }
