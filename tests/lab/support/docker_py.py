"""What a program written with docker-py does with a swarm. Prints one line for each thing that it found."""
import base64
import sys

import docker

client = docker.DockerClient(base_url="unix://" + sys.argv[1], version="auto", timeout=30)


print("api", client.api._version == client.version()["ApiVersion"])
print("swarm", client.swarm.attrs["Spec"]["Name"], client.info()["Swarm"]["LocalNodeState"])
[node] = client.nodes.list(filters={"role": "manager"})
print("node", node.attrs["Status"]["State"], node.attrs["ManagerStatus"]["Leader"])
spec = node.attrs["Spec"]
spec["Labels"] = {"zone": "a"}
print("label", node.update(spec), client.nodes.get(node.id).attrs["Spec"]["Labels"])

secret = client.secrets.create(name="pw", data=b"hunter2", labels={"team": "a"})
print("secret", client.secrets.get(secret.id).name, len(client.secrets.list(filters={"name": "pw"})))
config = client.configs.create(name="conf", data=b"a: b")
print("config", base64.b64decode(client.configs.get(config.id).attrs["Spec"]["Data"]))
network = client.networks.create("front", driver="overlay", attachable=True)
print("network", client.networks.get(network.id).attrs["Scope"])
