package agent

import "testing"

// A member that began to speak TLS finds its own document of before, and must not take it for somebody else's.
func TestTheOwnAddressIsRecognised(t *testing.T) {
	const own = "https://n1:8008/patroni"
	for address, want := range map[string]bool{
		own: true, "http://n1:8008/patroni": true, "http://n1:8009/patroni": false, "http://n2:8008/patroni": false, "": false, "://": false,
	} {
		if got := sameHost(address, own); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}
