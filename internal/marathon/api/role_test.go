package api

import (
	"net/http"
	"strings"
	"testing"
)

// Where the platform has a role, an app that names none has it and accepts what is reserved for it; another role is refused, and
// no group can enforce one.
func TestThePlatformHasARole(t *testing.T) {
	s := configured(Config{Role: "database"}, Backend{Scheduler: newFake()})
	for _, tt := range []struct {
		request string
		code    int
		answer  string
	}{
		{"GET /v2/info", http.StatusOK, `"mesos_role":"database"`},
		{"POST /v2/apps\n" + `{"id": "/shop/web", "cmd": "work"}`, http.StatusCreated, `"acceptedResourceRoles":["*","database"]`},
		{"GET /v2/apps/shop/web", http.StatusOK, `"role":"database"`},
		{"POST /v2/apps\n" + `{"id": "/shop/star", "cmd": "work", "role": "*"}`, http.StatusCreated, `"acceptedResourceRoles":["*"]`},
		{"POST /v2/apps\n" + `{"id": "/shop/other", "cmd": "work", "role": "shop"}`, http.StatusUnprocessableEntity, `is not one of (*,database)`},
		{"PUT /v2/groups/shop\n" + `{"enforceRole": true}`, http.StatusUnprocessableEntity, `apps have the role database here; none can have shop`},
		{"PATCH /v2/groups/shop\n" + `{"enforceRole": true}`, http.StatusUnprocessableEntity, `apps have the role database here; none can have shop`},
		{"POST /v2/groups\n" + `{"id": "/database", "enforceRole": true, "apps": [{"id": "main", "cmd": "work"}]}`, http.StatusCreated, "deploymentId"},
		{"GET /v2/apps/database/main", http.StatusOK, `"role":"database"`},
	} {
		rec := call(t, s, tt.request)
		if rec.Code != tt.code || !strings.Contains(rec.Body.String(), tt.answer) {
			t.Errorf("%s: %d %s; want %d and %s", tt.request, rec.Code, rec.Body, tt.code, tt.answer)
		}
	}
}
