"""What programs written with docker-py do with a swarm. Prints one line for each thing that it found."""
import base64
import sys
import time

import docker
from docker import types

socket, what, *more = sys.argv[1:]
client = docker.DockerClient(base_url="unix://" + socket, version="auto", timeout=120)

# Machines that do much else at the time are slow, and no proof of anything.
PATIENCE_S = 120


def until(name, look):
    """Waits for an answer that is neither empty nor false."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.2)
    raise SystemExit("no " + name + " in " + str(PATIENCE_S) + " s")


def running(service, count):
    """The tasks of a service that run, once there are so many."""
    def look():
        tasks = service.tasks(filters={"desired-state": "running"})
        found = [task for task in tasks if task["Status"]["State"] == "running"]
        return found if len(found) == count and len(tasks) == count else None
    return until(str(count) + " tasks that run", look)


def refused(call, *args, **kwargs):
    """Status and sentence of an answer that refuses."""
    try:
        call(*args, **kwargs)
    except docker.errors.APIError as error:
        return str(error.response.status_code) + " " + error.explanation
    return "nothing refused"


def cluster():
    print("api", client.api._version == client.version()["ApiVersion"], client.ping())
    swarm = client.swarm
    print("swarm", swarm.attrs["Spec"]["Name"], client.info()["Swarm"]["LocalNodeState"])
    tokens = swarm.attrs["JoinTokens"]
    print("update", swarm.update(rotate_worker_token=True, task_history_retention_limit=3))
    swarm.reload()
    print("rotated", swarm.attrs["JoinTokens"]["Worker"] != tokens["Worker"],
          swarm.attrs["JoinTokens"]["Manager"] == tokens["Manager"],
          swarm.attrs["Spec"]["Orchestration"]["TaskHistoryRetentionLimit"])
    print("unlock key", repr(swarm.get_unlock_key()["UnlockKey"]))

    [node] = client.nodes.list(filters={"role": "manager"})
    print("node", node.attrs["Status"]["State"], node.attrs["ManagerStatus"]["Leader"], node.version > 0)
    spec = node.attrs["Spec"]
    spec["Labels"] = {"zone": "a"}
    print("label", node.update(spec), client.nodes.get(node.id).attrs["Spec"]["Labels"])
    print("stale", refused(node.update, spec))
    print("nobody", refused(client.nodes.get, "nobody"))


def objects():
    secret = client.secrets.create(name="pw", data=b"hunter2", labels={"team": "a"})
    print("secret", client.secrets.get(secret.id).name, len(client.secrets.list(filters={"name": "pw"})),
          "Data" in client.secrets.get("pw").attrs["Spec"])
    print("again", refused(client.secrets.create, name="pw", data=b"x"))
    config = client.configs.create(name="conf", data=b"a: b")
    print("config", base64.b64decode(client.configs.get(config.id).attrs["Spec"]["Data"]),
          [found.name for found in client.configs.list(filters={"name": "conf"})])
    # What a creation gives back has no spec in this version.
    secret, config = client.secrets.get(secret.id), client.configs.get(config.id)
    network = client.networks.create("front", driver="overlay", attachable=True, labels={"team": "a"},
                                     ipam=types.IPAMConfig(pool_configs=[types.IPAMPool(subnet="172.29.0.0/24")]))
    print("network", client.networks.get(network.id).attrs["Scope"],
          network.attrs["IPAM"]["Config"][0]["Subnet"],
          sorted(found.name for found in client.networks.list(filters={"scope": "swarm"})))
    return secret, config, network


def services(secret, config, network):
    service = client.services.create(
        "busybox:latest", ["sh", "-c", "echo started; exec sleep 1000"],
        name="web", labels={"team": "a"}, container_labels={"inner": "b"}, env=["A=1"], hostname="{{.Task.Slot}}",
        constraints=["node.labels.zone==a"], maxreplicas=5, mode=types.ServiceMode("replicated", replicas=2),
        networks=[types.NetworkAttachmentConfig(network.id, aliases=["www"])],
        secrets=[types.SecretReference(secret.id, secret.name, filename="password", mode=0o400)],
        configs=[types.ConfigReference(config.id, config.name, filename="/etc/conf")],
        endpoint_spec=types.EndpointSpec(mode="vip", ports={8081: 80, 8082: (81, "udp")}),
        resources=types.Resources(mem_limit=1 << 26), restart_policy=types.RestartPolicy("any", delay=10**8),
        update_config=types.UpdateConfig(parallelism=2, delay=0, order="start-first"),
        mounts=["cache:/cache:rw"],
        healthcheck=types.Healthcheck(test=["NONE"]), stop_grace_period=10**9, init=True, log_driver="json-file",
        log_driver_options={"max-size": "1m"}, dns_config=types.DNSConfig(options=["ndots:1"]),
        hosts={"other": "10.1.2.3"}, cap_drop=["NET_RAW"], groups=["1"], workdir="/tmp")
    spec = service.attrs["Spec"]
    print("service", service.name, spec["Mode"], spec["TaskTemplate"]["Placement"]["MaxReplicas"],
          spec["TaskTemplate"]["ContainerSpec"]["Hosts"])
    tasks = running(service, 2)
    print("tasks", sorted(task["Slot"] for task in tasks), {task["NodeID"] for task in tasks} == {
        client.info()["Swarm"]["NodeID"]}, len(service.tasks(filters={"node": client.nodes.list()[0].id})))
    container = client.containers.get(tasks[0]["Status"]["ContainerStatus"]["ContainerID"])
    print("inside", container.exec_run(["cat", "/run/secrets/password", "/etc/conf"]).output,
          container.labels["com.docker.swarm.service.name"], container.labels["inner"])
    service.reload()
    on = {client.networks.get(vip["NetworkID"]).name for vip in service.attrs["Endpoint"]["VirtualIPs"]}
    print("endpoint", sorted(on), sorted((port["PublishedPort"], port["TargetPort"], port["Protocol"])
                                         for port in service.attrs["Endpoint"]["Ports"]))
    print("log", until("log", lambda: len(b"".join(service.logs(stdout=True)).splitlines()) == 2))
    print("listed", [listed.name for listed in client.services.list(filters={"label": "team=a"})])
    print("in use", refused(secret.remove))
    print("taken", refused(client.services.create, "busybox:latest", name="web"))

    print("scale", service.scale(3), len(running(client.services.get("web"), 3)))
    service = client.services.get("web")
    print("changed", service.update(env=["A=2"], labels={"team": "b"}, mode=types.ServiceMode("replicated", 1)))
    until("update", lambda: client.services.get("web").attrs.get("UpdateStatus", {}).get("State") == "completed")
    service = client.services.get("web", insert_defaults=True)
    [task] = running(service, 1)
    print("now", task["Spec"]["ContainerSpec"]["Env"], service.attrs["Spec"]["Labels"],
          "PreviousSpec" in service.attrs, service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"][0]["ConfigName"])
    print("forced", service.force_update()["Warnings"], client.services.get("web").attrs["Spec"]["TaskTemplate"]["ForceUpdate"])
    everywhere = client.services.create("busybox:latest", "sleep 1000", name="each", mode="global",
                                        stop_grace_period=10**9)
    print("global", len(running(everywhere, 1)), "Slot" in everywhere.tasks()[0],
          client.api.inspect_task(everywhere.tasks()[0]["ID"])["ServiceID"] == everywhere.id)
    print("no number", refused(client.api.update_service, everywhere.id, 1, fetch_current_spec=True))
    for each in client.services.list():
        each.remove()
    print("gone", refused(client.services.get, "web"))
    until("end of all tasks", lambda: not client.api.tasks())


def removal(secret, config, network):
    print("removed", secret.remove(), config.remove(), until("free network", lambda: left(network)))
    print("left", len(client.secrets.list()), len(client.configs.list()),
          [found.name for found in client.networks.list(filters={"scope": "swarm"})])


def left(network):
    """Whether a network could be removed; a task that just ended may still hold it."""
    try:
        network.remove()
        return True
    except docker.errors.APIError as error:
        if "in use" in error.explanation:
            return False
        raise


def anew(address):
    """Leaves the cluster and founds another one."""
    print("leave", refused(client.swarm.leave), client.swarm.leave(force=True))
    print("left", client.info()["Swarm"]["LocalNodeState"], refused(client.nodes.list))
    node = client.swarm.init(advertise_addr=address, listen_addr="0.0.0.0:2377", default_addr_pool=["172.30.0.0/16"],
                             subnet_size=26, name="default", snapshot_interval=5000, node_cert_expiry=7776000000000000)
    print("init", client.nodes.list()[0].id == node, client.swarm.attrs["DefaultAddrPool"],
          client.swarm.attrs["SubnetSize"], client.swarm.attrs["Spec"]["Raft"]["SnapshotInterval"])
    print("again", refused(client.swarm.init, advertise_addr=address))


if what == "use":
    cluster()
    made = objects()
    services(*made)
    removal(*made)
else:
    anew(*more)
