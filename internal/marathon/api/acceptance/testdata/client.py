"""Drives a scheduler with Python's client of Marathon, which nobody wrote for it: python3 client.py URL."""

import sys
import threading
import time

from marathon import MarathonClient, MarathonHttpError, NotFoundError
from marathon.models import MarathonApp, MarathonGroup, MarathonHealthCheck
from marathon.models.events import MarathonDeploymentSuccess, MarathonStatusUpdateEvent


def await_(what, holds):
    """Waits until something holds, and returns it."""
    for _ in range(600):
        got = holds()
        if got:
            return got
        time.sleep(0.05)
    sys.exit("did not happen: " + what)


def refused(status, what, do):
    try:
        do()
    except MarathonHttpError as e:
        if e.status_code != status:
            sys.exit("%s: status %d, want %d: %s" % (what, e.status_code, status, e))
        return e
    sys.exit(what + " was not refused")


client = MarathonClient(sys.argv[1], timeout=10)
events, broken = [], []


def listen():
    try:
        for event in client.event_stream():  # of every kind
            events.append(event)
    except Exception as e:  # the stream has to last as long as the script
        broken.append(repr(e))


threading.Thread(target=listen, daemon=True).start()
await_("the first event", lambda: events)


def idle():
    return not client.list_deployments()


assert b"pong" in client.ping()
info = client.get_info()
assert info.name == "marathon" and info.elected and info.marathon_config.local_port_min == 10000
assert ":" in client.get_leader()["leader"]
assert "gauges" in client.get_metrics()

check = MarathonHealthCheck(protocol="HTTP", path="/", port_index=0, interval_seconds=1, grace_period_seconds=5, timeout_seconds=1)
made = client.create_app("/py/web", MarathonApp(
    cmd="work", cpus=0.1, mem=16, instances=2, labels={"a": "b"}, env={"X": "1"}, health_checks=[check], constraints=[["hostname", "UNIQUE"]]))
assert made.id == "/py/web" and made.deployments
await_("two healthy tasks", lambda: client.get_app("/py/web").tasks_healthy == 2 and idle())
web = client.get_app("/py/web")
assert web.instances == 2 and len(web.tasks) == 2 and web.env == {"X": "1"} and web.constraints[0].operator == "UNIQUE"
assert web.tasks[0].health_check_results[0].alive and web.tasks[0].ports and web.tasks[0].host
listed = client.list_apps(embed_tasks=True, embed_counts=True, embed_deployments=True, embed_readiness=True, embed_last_task_failure=True, embed_failures=True)
assert [a.id for a in listed] == ["/py/web"] and client.list_apps(label="a==b")[0].tasks_running == 2
assert len(client.list_endpoints()) == 2 and len(client.list_tasks()) == 2

first = client.list_versions("/py/web")[-1]
web.env = {"X": "2"}
client.update_app("/py/web", web, force=True)
await_("the second version", lambda: idle() and client.get_app("/py/web").env == {"X": "2"})
assert client.get_version("/py/web", first).env == {"X": "1"}
client.rollback_app("/py/web", first)
await_("the first version again", lambda: idle() and client.get_app("/py/web").env == {"X": "1"})
client.scale_app("/py/web", delta=1)
await_("three tasks", lambda: idle() and client.get_app("/py/web").tasks_running == 3)
client.restart_app("/py/web")
await_("the end of the restart", idle)

victim = client.list_tasks("/py/web")[0].id
assert client.kill_task("/py/web", victim).id == victim
await_("another task", lambda: len(client.list_tasks("/py/web")) == 3 and victim not in [t.id for t in client.list_tasks("/py/web")])
client.kill_given_tasks([client.list_tasks("/py/web")[0].id], scale=True, force=True)
await_("two tasks", lambda: idle() and client.get_app("/py/web").instances == 2)
host = client.list_tasks("/py/web")[0].host
assert len(client.kill_tasks("/py/web", host=host)) == 1

client.create_app("/py/big", MarathonApp(cmd="work", cpus=5000))
waits = await_("a queue", lambda: [q for q in client.list_queue(embed_last_unused_offers=True) if q.last_unused_offers])
assert waits[0].app.id == "/py/big" and waits[0].delay.overdue
assert "App is locked" in str(refused(409, "a locked app", lambda: client.update_app("/py/big", MarathonApp(cmd="other"))))
client.delete_deployment(client.list_deployments()[0].id)
await_("the rollback", idle)
assert refused(404, "no app", lambda: client.get_app("/py/big")) and isinstance(refused(404, "no app", lambda: client.get_app("/py/big")), NotFoundError)
refused(422, "negative cpus", lambda: client.create_app("/py/bad", MarathonApp(cmd="work", cpus=-1)))

client.create_group(MarathonGroup(id="/team", apps=[MarathonApp(id="/team/a", cmd="work", cpus=0.1, mem=16)]))
await_("the group", idle)
assert client.get_group("/team").apps[0].id == "/team/a" and {g.id for g in client.get_group("/").groups} == {"/py", "/team"}
client.scale_group("/team", 2)
await_("the scaled group", lambda: idle() and client.get_app("/team/a").tasks_running == 2)
client.delete_group("/team")
client.delete_app("/py/web")
await_("an empty list", lambda: idle() and not client.list_apps())

if broken:
    sys.exit("the event stream ended: " + broken[0])
for kind in (MarathonStatusUpdateEvent, MarathonDeploymentSuccess):
    assert any(isinstance(e, kind) for e in events), kind
