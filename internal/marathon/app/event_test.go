package app

import "testing"

func TestEncodeEvent(t *testing.T) {
	for _, c := range []struct {
		event Event
		want  string
	}{
		{TerminatedEvent{AppID: "/pg"}, `{"eventType":"app_terminated_event","timestamp":"2026-01-02T03:04:05.678Z","appId":"/pg"}`},
		{
			StatusUpdateEvent{AppID: "/pg", State: TaskRunning, Message: "<ok>"},
			`{"eventType":"status_update_event","timestamp":"2026-01-02T03:04:05.678Z","slaveId":"","taskId":"","taskStatus":"TASK_RUNNING",` +
				`"message":"<ok>","appId":"/pg","host":"","ipAddresses":[],"ports":[],"version":"1970-01-01T00:00:00.000Z"}`,
		},
		{
			DeploymentStepEvent{Failed: true},
			`{"eventType":"deployment_step_failure","timestamp":"2026-01-02T03:04:05.678Z",` +
				`"plan":{"id":"","version":"1970-01-01T00:00:00.000Z","steps":[],"original":{},"target":{}},"currentStep":{"actions":[]}}`,
		},
		{SchedulerEvent{Kind: "disconnected"}, `{"eventType":"scheduler_disconnected_event","timestamp":"2026-01-02T03:04:05.678Z"}`},
	} {
		at, _ := ParseTimestamp("2026-01-02T03:04:05.678Z")
		if got := string(EncodeEvent(c.event, at)); got != c.want {
			t.Errorf("EncodeEvent:\n got %s\nwant %s", got, c.want)
		}
	}
}
