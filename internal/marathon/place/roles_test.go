package place

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is reserved for a role is drawn before what nobody reserved, and only by who accepts the role.
func TestTakingFromAnOffer(t *testing.T) {
	whole := func() Offer {
		return Offer{Free: Resources{CPUs: 4, Mem: 100}, Reserved: map[string]Resources{"a": {CPUs: 1, Mem: 10}, "b": {CPUs: 2, Mem: 20}}}
	}
	for _, tt := range []struct {
		name           string
		roles          []string
		usable         Resources
		left, reserved Resources // of nobody, of the role a
	}{
		{"no role named", nil, Resources{CPUs: 4, Mem: 100}, Resources{CPUs: 2, Mem: 90}, Resources{CPUs: 1, Mem: 10}},
		{"what is nobody's", []string{"*"}, Resources{CPUs: 4, Mem: 100}, Resources{CPUs: 2, Mem: 90}, Resources{CPUs: 1, Mem: 10}},
		{"its role first", []string{"*", "a"}, Resources{CPUs: 5, Mem: 110}, Resources{CPUs: 3, Mem: 100}, Resources{}},
		{"two roles", []string{"a", "b"}, Resources{CPUs: 3, Mem: 30}, Resources{CPUs: 4, Mem: 100}, Resources{}},
		{"a role with nothing", []string{"c"}, Resources{}, Resources{CPUs: 2, Mem: 90}, Resources{CPUs: 1, Mem: 10}},
	} {
		o := whole()
		shared := o.Reserved
		if diff := cmp.Diff(tt.usable, o.Usable(tt.roles)); diff != "" {
			t.Errorf("%s: usable is another:\n%s", tt.name, diff)
		}
		o.Take(Resources{CPUs: 2, Mem: 10}, tt.roles)
		if diff := cmp.Diff(tt.left, o.Free); diff != "" {
			t.Errorf("%s: of nobody's is left:\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.reserved, o.Reserved["a"]); diff != "" {
			t.Errorf("%s: of a's is left:\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(whole().Reserved, shared); diff != "" {
			t.Errorf("%s: the offer it was copied from has changed:\n%s", tt.name, diff)
		}
	}
}
