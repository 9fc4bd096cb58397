package app

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A group at the top may say which role its apps have; those that have another one keep it.
func TestGroupsEnforceRoles(t *testing.T) {
	d := Definitions{
		Apps:   map[ID]App{"/shop/old": {ID: "/shop/old", Role: "*"}},
		Groups: map[ID]Group{"/shop": {ID: "/shop", EnforceRole: true}, "/free": {ID: "/free"}},
	}
	for _, tt := range []struct {
		id            ID
		role, usually string
		allowed       bool
	}{
		{"/shop/new", "shop", "shop", true},
		{"/shop/new", "*", "shop", false},
		{"/shop/deep/new", "*", "shop", false},
		{"/shop/old", "*", "shop", true},
		{"/shop/old", "shop", "shop", true},
		{"/free/new", "*", "*", true},
		{"/shop", "*", "*", true}, // an app beside the group
		{"/other/new", "other", "*", true},
		{"/other/new", "shop", "*", false},
	} {
		if got := d.RoleOf(tt.id, ""); got != tt.usually {
			t.Errorf("an app %s that names no role has %q, want %q", tt.id, got, tt.usually)
		}
		err := d.validateRole(App{ID: tt.id, Role: tt.role}, "")
		if invalid, is := errors.AsType[*InvalidError](err); (err == nil) != tt.allowed || err != nil && (!is || invalid.Details[0].Path != "/role") {
			t.Errorf("%s with the role %q: %v", tt.id, tt.role, err)
		}
	}
}

// Where the platform has one role its apps have that, or the default; those that had another one keep it.
func TestThePlatformHasARole(t *testing.T) {
	d := Definitions{Apps: map[ID]App{"/shop/old": {ID: "/shop/old", Role: "shop"}, "/shop/star": {ID: "/shop/star", Role: "*"}}}
	for _, tt := range []struct {
		id            ID
		role, usually string
		allowed       bool
	}{
		{"/shop/new", "database", "database", true},
		{"/shop/new", "*", "database", true},
		{"/shop/new", "shop", "database", false},
		{"/shop/old", "shop", "shop", true},
		{"/shop/old", "database", "shop", true},
		{"/shop/star", "shop", "*", false},
		{"/database/new", "database", "database", true},
		{"/top", "top", "database", false},
	} {
		if got := d.RoleOf(tt.id, "database"); got != tt.usually {
			t.Errorf("an app %s that names no role has %q, want %q", tt.id, got, tt.usually)
		}
		if err := d.validateRole(App{ID: tt.id, Role: tt.role}, "database"); (err == nil) != tt.allowed {
			t.Errorf("%s with the role %q: %v", tt.id, tt.role, err)
		}
	}
}

// An app accepts what nobody reserved and what is reserved for its role, unless it says what it accepts.
func TestAcceptedRoles(t *testing.T) {
	for _, tt := range []struct {
		text, role string
		want       []string
	}{
		{`{"cmd": "x"}`, DefaultRole, []string{"*"}},
		{`{"cmd": "x"}`, "shop", []string{"*", "shop"}},
		{`{"cmd": "x", "role": "shop"}`, DefaultRole, []string{"*", "shop"}},
		{`{"cmd": "x", "role": "*"}`, "shop", []string{"*"}},
		{`{"cmd": "x", "acceptedResourceRoles": ["shop"]}`, "shop", []string{"shop"}},
		{`{"cmd": "x", "acceptedResourceRoles": ["*"]}`, "shop", []string{"*"}},
	} {
		u, err := Parse([]byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, u.NewAs("/shop/a", tt.role).AcceptedResourceRoles); diff != "" {
			t.Errorf("%s in a group that has the role %s:\n%s", tt.text, tt.role, diff)
		}
	}
}
