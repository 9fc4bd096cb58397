package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// FailsafeAccepted is the whole body of the answer of a member that agrees.
const FailsafeAccepted = "Accepted"

// FailsafeCall is what a primary without the DCS says to the other members.
type FailsafeCall struct {
	Name    string `json:"name"`
	ConnURL string `json:"conn_url"`
	APIURL  string `json:"api_url"`
	// Slots are the positions of its replication slots.
	Slots map[string]wal.LSN `json:"slots,omitempty"`
}

// Failsafe tells a member that the caller goes on as the primary without the DCS, and asks whether it agrees. apiURL is
// the address that the member announced.
func (c *Client) Failsafe(ctx context.Context, apiURL string, call FailsafeCall) (Answer, error) {
	u, err := url.Parse(apiURL)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %q to agree: %w", apiURL, err)
	}
	u.Path, u.RawQuery = "/failsafe", ""
	return c.Send(ctx, http.MethodPost, u.String(), call)
}

// position reads the header in which a member that agrees says how far its WAL reaches, a decimal number.
func position(h http.Header) wal.LSN {
	n, err := strconv.ParseUint(h.Get("lsn"), 10, 64)
	if err != nil {
		return 0
	}
	return wal.LSN(n)
}
