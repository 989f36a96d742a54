import { checkName } from "../../src/model/names.ts";
import { networkRequest } from "../spec/network.ts";
import type { NetworkFlags } from "../spec/network.ts";
import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<NetworkFlags> = {
  define(command) {
    command.argument("<name>", "Name of the network")
      .value("-d, --driver <string>", "Driver (default overlay)")
      .list("-o, --opt <opt>", "Option of the driver (key=value)")
      .list("--label <label>", "Label (key=value)")
      .flag("--internal", "No way out of the network")
      .flag("--attachable", "Containers outside services may attach")
      .flag("--ingress", "The network of the routing mesh")
      .flag("--ipv4", "Addresses of version 4 (default true)")
      .flag("--ipv6", "Addresses of version 6")
      .value("--scope <word>", "local or swarm", choice("local", "swarm", "global"))
      .flag("--config-only", "Hold settings for other networks only")
      .value("--config-from <network>", "Take the settings of that network")
      .value("--ipam-driver <string>", "Address driver (default default)")
      .list("--ipam-opt <opt>", "Option of the address driver (key=value)")
      .list("--subnet <cidr>", "Subnet")
      .list("--ip-range <cidr>", "Part of a subnet that addresses come from")
      .list("--gateway <ip>", "Gateway of a subnet")
      .list("--aux-address <pair>", "Address that the driver must not give away (name=ip)")
      .examples(
        "fleet network create --driver overlay back",
        "fleet network create --driver overlay --subnet 10.9.0.0/24 --attachable front",
      );
  },
  async run({ client, print, warn }, [name = ""], flags) {
    checkName("network", name);
    const request = networkRequest(name, flags);
    const created = await client.post<{ Id: string; Warning?: string }>("/networks/create", {
      body: request,
    });
    if (created.Warning) warn(`WARNING: ${created.Warning}`);
    print(created.Id);
  },
};
