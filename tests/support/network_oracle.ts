import type { FleetLab } from "./fleet_lab.ts";

/** A container on an overlay network, as its own engine and kernel know it. */
interface Endpoint {
  readonly host: string;
  readonly id: string;
  readonly service: string;
  readonly task: string;
  readonly address: string;
  readonly mac: string;
}

interface HostNetwork {
  readonly vni: number;
  readonly gateway: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly endpoints: readonly Endpoint[];
  readonly forwarding: readonly string[];
  readonly neighbours: readonly string[];
  /** Hardware addresses that the short cut past the bridge knows: of tasks here, and elsewhere. */
  readonly near: readonly string[];
  readonly far: readonly string[];
}

interface TaskView {
  readonly ID: string;
  readonly ServiceID?: string;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string };
}

/** States after which a task's container is gone or will not come back. */
const ENDED = /^(complete|failed|shutdown|rejected|orphaned|remove)$/;

interface ServiceView {
  readonly ID: string;
  readonly Spec: { readonly Name: string };
  readonly Endpoint?: {
    readonly Ports?: readonly { readonly PublishedPort: number; readonly Protocol: string }[];
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr?: string }[];
  };
}

interface NetworkView {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Options?: Readonly<Record<string, string>>;
}

const VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list";

/**
 * What is wrong with the overlay networks of a lab, in sentences; empty when every node's kernel, engine
 * and name server hold exactly what the containers that run make necessary.
 *
 * It shares no code with fleet: what runs is asked of the engines, what the kernel holds of `ip`, `bridge`
 * and `nft`, names of a resolver in a container. From fleet it takes only what cannot be seen elsewhere:
 * the virtual addresses of services, and the numbers of networks.
 */
export async function networkDifferences(
  lab: FleetLab,
  hosts: readonly string[],
): Promise<string[]> {
  const api = hosts[0]!;
  const networks = (await lab.get<NetworkView[]>(api, "/v1.41/networks"))
    .filter(({ Driver }) => Driver === "overlay");
  const seen = new Map<string, Map<string, HostNetwork>>();
  for (const host of hosts) seen.set(host, await hostNetworks(lab, host));
  const wrong: string[] = [];
  for (const [host, found] of seen) {
    for (const name of found.keys()) {
      if (!networks.some(({ Name }) => Name === name)) {
        wrong.push(`${host}: has network ${name}, which the cluster has not`);
      }
    }
  }
  const services = await lab.get<ServiceView[]>(api, "/v1.41/services");
  const left = (await lab.get<TaskView[]>(api, "/v1.41/tasks")).filter(({ ServiceID, Status }) =>
    ServiceID && !services.some(({ ID }) => ID === ServiceID) && !ENDED.test(Status.State)
  );
  for (const { ID, Status, DesiredState, NodeID } of left) {
    wrong.push(
      `task ${ID} of a removed service is ${Status.State}, shall be ${DesiredState}, on ${NodeID}`,
    );
  }
  for (const network of networks) {
    wrong.push(...differencesOf(lab, network, services, seen));
  }
  for (const host of hosts) {
    wrong.push(...await balancerDifferences(lab, host, networks, services, seen));
  }
  if (wrong.length > 0) return wrong;
  for (const host of hosts) {
    wrong.push(...await nameDifferences(lab, host, networks, services, seen));
  }
  return wrong;
}

function differencesOf(
  lab: FleetLab,
  network: NetworkView,
  services: readonly ServiceView[],
  seen: ReadonlyMap<string, ReadonlyMap<string, HostNetwork>>,
): string[] {
  const wrong: string[] = [];
  const vni = Number(network.Options?.[VNI_OPTION]);
  const meshed = services.some(({ Endpoint }) => (Endpoint?.Ports ?? []).length > 0);
  // The addresses that the API shows on the mesh's network are nobody's in a kernel.
  const vips = network.Name === "ingress"
    ? []
    : vipsOf(network.Id, services).map(({ vip }) => `${vip}/32`);
  const all = [...seen].flatMap(([, found]) => found.get(network.Name)?.endpoints ?? []);
  const addresses = all.map(({ address }) => address);
  if (new Set(addresses).size !== addresses.length) {
    wrong.push(`${network.Name}: an address is given twice: ${addresses.join(", ")}`);
  }
  for (const [host, found] of seen) {
    const here = found.get(network.Name);
    const needed = (here?.endpoints.length ?? 0) > 0 || (network.Name === "ingress" && meshed);
    if (!here || !needed) {
      if (needed) wrong.push(`${host}: lacks network ${network.Name}`);
      else if (here) wrong.push(`${host}: has network ${network.Name}, which nothing here is on`);
      continue;
    }
    const compare = (what: string, actual: readonly string[], expected: readonly string[]) => {
      const [a, b] = [[...actual].sort().join(" "), [...expected].sort().join(" ")];
      if (a !== b) wrong.push(`${host}: ${network.Name}: ${what}: has [${a}], not [${b}]`);
    };
    if (here.vni !== vni) wrong.push(`${host}: ${network.Name} has VNI ${here.vni}, not ${vni}`);
    const [own, ...others] = here.addresses;
    if (!own?.startsWith(`${here.gateway}/`)) {
      wrong.push(`${host}: ${network.Name} has address ${own}, not ${here.gateway}`);
    }
    compare("virtual addresses", others, vips);
    const remote: { address: string; mac: string; vtep: string }[] = [];
    for (const [other, theirs] of seen) {
      const there = theirs.get(network.Name);
      if (other === host || !there) continue;
      const vtep = lab.host(other).address;
      remote.push({ address: there.gateway, mac: there.mac, vtep });
      for (const { address, mac } of there.endpoints) remote.push({ address, mac, vtep });
    }
    compare("forwarding entries", here.forwarding, remote.map(({ mac, vtep }) => `${mac}@${vtep}`));
    compare(
      "neighbours",
      here.neighbours,
      remote.map(({ address, mac }) => `${address}=${mac}`),
    );
    const tasks = here.endpoints.filter(({ service }) => service !== "").map(({ mac }) => mac);
    const cut = tasks.length > 0 && remote.length > 0;
    compare("short cut's tasks here", here.near, cut ? tasks : []);
    compare("short cut's far ends", here.far, cut ? remote.map(({ mac }) => mac) : []);
  }
  return wrong;
}

function vipsOf(networkId: string, services: readonly ServiceView[]) {
  return services.flatMap(({ Spec, Endpoint }) =>
    (Endpoint?.VirtualIPs ?? []).filter(({ NetworkID, Addr }) => NetworkID === networkId && Addr)
      .map(({ Addr }) => ({ service: Spec.Name, vip: Addr!.split("/")[0]! }))
  );
}

const endpointsOf = (
  seen: ReadonlyMap<string, ReadonlyMap<string, HostNetwork>>,
  network: string,
  service: string,
) =>
  [...seen.values()].flatMap((found) => found.get(network)?.endpoints ?? [])
    .filter((endpoint) => endpoint.service === service);

async function balancerDifferences(
  lab: FleetLab,
  host: string,
  networks: readonly NetworkView[],
  services: readonly ServiceView[],
  seen: ReadonlyMap<string, ReadonlyMap<string, HostNetwork>>,
): Promise<string[]> {
  const { stdout } = await lab.host(host).exec(["nft", "-j", "list", "table", "ip", "fleet"]);
  const rules = stdout.trim() === ""
    ? []
    : (JSON.parse(stdout) as { nftables: { rule?: { chain: string; expr: unknown } }[] }).nftables
      .flatMap(({ rule }) => rule ? [rule] : []);
  const actual = new Map<string, string>();
  for (const { chain, expr } of rules) {
    if (!/^(vip|port)-/.test(chain)) continue;
    const targets = JSON.stringify(expr).match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
    if (targets.length > 0) actual.set(chain, [...targets].sort().join(" "));
  }
  const expected = new Map<string, string>();
  for (const { Id, Name } of networks) {
    if (!seen.get(host)?.has(Name) || Name === "ingress") continue;
    for (const { service, vip } of vipsOf(Id, services)) {
      const targets = endpointsOf(seen, Name, service).map(({ address }) => address);
      if (targets.length === 0) continue;
      expected.set(chainOf(vip), targets.sort().join(" "));
    }
  }
  for (const { Spec, Endpoint } of services) {
    for (const { PublishedPort, Protocol } of Endpoint?.Ports ?? []) {
      const targets = endpointsOf(seen, "ingress", Spec.Name).map(({ address }) => address);
      if (targets.length > 0) {
        expected.set(`port-${Protocol}-${PublishedPort}`, targets.sort().join(" "));
      }
    }
  }
  return [...new Set([...actual.keys(), ...expected.keys()])].flatMap((chain) =>
    actual.get(chain) === expected.get(chain) ? [] : [
      `${host}: ${chain} leads to [${actual.get(chain) ?? ""}], not [${expected.get(chain) ?? ""}]`,
    ]
  );
}

const chainOf = (vip: string) => `vip-${vip.replaceAll(".", "-")}`;

/** Asks from a container of each network for every service of the cluster. */
async function nameDifferences(
  lab: FleetLab,
  host: string,
  networks: readonly NetworkView[],
  services: readonly ServiceView[],
  seen: ReadonlyMap<string, ReadonlyMap<string, HostNetwork>>,
): Promise<string[]> {
  const wrong: string[] = [];
  const found = seen.get(host)!;
  const asked = new Set<string>();
  for (const [name, { endpoints }] of found) {
    const from = name === "ingress" ? undefined : endpoints.find(({ id }) => !asked.has(id));
    if (!from) continue;
    asked.add(from.id);
    const on = [...found].filter(([own, network]) =>
      own !== "ingress" && network.endpoints.some(({ id }) => id === from.id)
    ).map(([own]) => own);
    const script = services.map(({ Spec }) =>
      `echo "tasks.${Spec.Name}" $(getent ahostsv4 tasks.${Spec.Name} | cut -d' ' -f1 | sort -u); ` +
      `echo "${Spec.Name}" $(getent ahostsv4 ${Spec.Name} | cut -d' ' -f1 | sort -u)`
    ).join("; ");
    const { stdout } = await lab.host(host).docker(["exec", from.id, "sh", "-c", script]);
    const answers = new Map(
      stdout.split("\n").filter(Boolean).map((line) => {
        const [asking, ...addresses] = line.split(" ");
        return [asking!, addresses.sort().join(" ")];
      }),
    );
    for (const { Spec } of services) {
      // As in Docker, a name that is on several networks of the asking one is answered from one of them.
      const possible = on.map((network) => {
        const id = networks.find(({ Name }) => Name === network)?.Id ?? "";
        const tasks = endpointsOf(seen, network, Spec.Name).map(({ address }) => address).sort();
        const virtual = vipsOf(id, services).find(({ service }) => service === Spec.Name)?.vip;
        return { tasks: tasks.join(" "), plain: virtual ?? tasks.join(" ") };
      });
      const compare = (asking: string, expected: readonly string[]) => {
        const said = answers.get(asking) ?? "";
        const answered = expected.filter((text) => text !== "");
        if (answered.length === 0 ? said === "" : answered.includes(said)) return;
        const wanted = answered.join("] or [");
        wrong.push(`${host}: on ${on.join("+")}: ${asking} is [${said}], not [${wanted}]`);
      };
      compare(`tasks.${Spec.Name}`, possible.map(({ tasks }) => tasks));
      compare(Spec.Name, possible.map(({ plain }) => plain));
    }
  }
  return wrong;
}

/** Overlay networks of a host by name, from its engine and its kernel. */
async function hostNetworks(lab: FleetLab, host: string): Promise<Map<string, HostNetwork>> {
  const json = async <T>(argv: string): Promise<T[]> => {
    const { stdout } = await lab.host(host).exec(argv.split(" "));
    return stdout.trim() === "" ? [] : JSON.parse(stdout) as T[];
  };
  const links = await json<{ ifname: string; address: string }>("ip -j link show");
  const addresses = await json<
    { ifname: string; addr_info: { local: string; prefixlen: number }[] }
  >("ip -j -4 addr show");
  const fdb = await json<{ mac: string; ifname?: string; dst?: string }>("bridge -j fdb show");
  const neighbours = await json<{ dst: string; dev: string; lladdr: string }>(
    "ip -j -4 neigh show nud permanent",
  );
  const engine = async <T>(kind: string[], list: string[]): Promise<T[]> => {
    const ids = (await lab.host(host).docker([...list])).stdout.split("\n").filter(Boolean);
    if (ids.length === 0) return [];
    const { stdout } = await lab.host(host).docker([...kind, "inspect", ...ids]);
    return JSON.parse(stdout) as T[];
  };
  const networks = await engine<{ Name: string; Options: Record<string, string> }>(["network"], [
    ...["network", "ls", "-q", "--filter", "label=io.fleet.network"],
  ]);
  const containers = await engine<{
    Id: string;
    Config: { Labels: Record<string, string> | null };
    NetworkSettings: { Networks: Record<string, { IPAddress: string; MacAddress: string }> };
  }>(["container"], ["ps", "-q", "--no-trunc"]);
  const cuts = (await lab.host(host).exec(["nft", "list", "table", "netdev", "fleet"])).stdout
    .split(/^\s+(?=(?:set|chain) )/m);
  const macs = (part: string) =>
    cuts.find((text) => text.startsWith(`${part} `))?.match(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g) ??
      [];
  const found = new Map<string, HostNetwork>();
  const bridges = new Set<string>();
  for (const { Name, Options } of networks) {
    const bridge = Options["com.docker.network.bridge.name"] ?? "";
    bridges.add(bridge);
    const vxlan = bridge.replace("fl-", "flx-");
    const own = addresses.find(({ ifname }) => ifname === bridge)?.addr_info ?? [];
    const [first, ...others] = own.map(({ local, prefixlen }) => `${local}/${prefixlen}`)
      .sort((a, b) => Number(a.endsWith("/32")) - Number(b.endsWith("/32")));
    found.set(Name, {
      vni: Number(bridge.slice(3)),
      gateway: first?.split("/")[0] ?? "",
      mac: links.find(({ ifname }) => ifname === bridge)?.address ?? "",
      addresses: [...first ? [first] : [], ...others],
      endpoints: containers.flatMap(({ Id, Config, NetworkSettings }) => {
        const place = NetworkSettings.Networks[Name];
        return place
          ? [{
            host,
            id: Id,
            service: Config.Labels?.["com.docker.swarm.service.name"] ?? "",
            task: Config.Labels?.["com.docker.swarm.task.id"] ?? "",
            address: place.IPAddress,
            mac: place.MacAddress,
          }]
          : [];
      }),
      forwarding: fdb.filter(({ ifname, dst }) => ifname === vxlan && dst).map(({ mac, dst }) =>
        `${mac}@${dst}`
      ),
      neighbours: neighbours.filter(({ dev }) => dev === vxlan).map(({ dst, lladdr }) =>
        `${dst}=${lladdr}`
      ),
      near: macs(bridge.replace("fl-", "chain in-")),
      far: macs(bridge.replace("fl-", "set far-")),
    });
  }
  for (const { ifname } of links) {
    const bridge = ifname.replace(/^flx-/, "fl-");
    if (/^fl-\d+$/.test(bridge) && !bridges.has(bridge)) {
      found.set(`(device ${ifname})`, {
        vni: Number(bridge.slice(3)),
        ...{ gateway: "", mac: "", addresses: [], endpoints: [], forwarding: [], neighbours: [] },
        ...{ near: [], far: [] },
      });
    }
  }
  return found;
}
