import type { ApiNode } from "../api_types.ts";
import type { ApiClient } from "../client.ts";
import { messageOf } from "../../src/base/errors.ts";
import { nodeNameOf } from "./cluster.ts";
import type { Finding } from "./findings.ts";
import { ok, trouble, warning } from "./findings.ts";

/** Up to so many nodes every pair is tried; beyond, each node tries its next neighbours. */
const ALL_PAIRS = 16;
const NEIGHBOURS = 4;
/** Questions under way at once. */
const AT_ONCE = 8;

interface Reached {
  readonly ok: boolean;
  readonly ms: number;
  readonly why: string;
}
interface Probed {
  readonly bytes: number;
  readonly ok: boolean;
  readonly why: string;
}

/** Tries every node's way to every manager (TCP), and between the nodes in both directions (UDP, up to the MTU). */
export async function paths(
  client: ApiClient,
  nodes: readonly ApiNode[],
  facts: { readonly dataPort: number; readonly mtus: ReadonlyMap<string, number> },
): Promise<Finding[]> {
  const ready = nodes.filter(({ Status }) => Status.State === "ready");
  const managers = ready.filter(({ ManagerStatus }) => ManagerStatus?.Addr);
  const reached = await eachPair(ready, managers, async (from, to) => {
    const address = to.ManagerStatus!.Addr!;
    const { ok: fine, why } = await client.get<Reached>(`/fleet/nodes/${from.ID}/reach`, {
      query: { address },
    });
    return fine ? undefined : trouble(
      nodeNameOf(from),
      `does not reach manager ${nodeNameOf(to)} at ${address}: ${why}`,
      `let TCP ${address.split(":").at(-1)} pass from ${nodeNameOf(from)} to ${nodeNameOf(to)}`,
    );
  });
  return [
    ...summed(reached, "every node reaches every manager"),
    ...await dataPaths(client, ready, facts),
  ];
}

async function dataPaths(
  client: ApiClient,
  ready: readonly ApiNode[],
  { dataPort, mtus }: { readonly dataPort: number; readonly mtus: ReadonlyMap<string, number> },
): Promise<Finding[]> {
  if (ready.length < 2) return [];
  const ports = new Map<string, number>();
  await inTurn(ready, async (node) => {
    const { Port } = await client.get<{ Port: number }>(`/fleet/nodes/${node.ID}/echo`, {
      query: { port: dataPort },
    }).catch(() => ({ Port: 0 }));
    if (Port > 0) ports.set(node.ID, Port);
  });
  const tried = await eachPair(ready, ready, async (from, to) => {
    const port = ports.get(to.ID);
    if (port === undefined) return undefined;
    const mtu = Math.min(mtus.get(from.ID) || 1500, mtus.get(to.ID) || 1500);
    const results = await client.get<Probed[]>(`/fleet/nodes/${from.ID}/probe`, {
      query: { address: `${to.Status.Addr}:${port}`, mtu },
    });
    const sure = port === dataPort;
    return verdict(nodeNameOf(from), nodeNameOf(to), { dataPort, sure, mtu }, results);
  });
  return summed(tried, "datagrams pass between all nodes, whole and at full size");
}

/** The data path's own port tells for sure; another one may be shut by a firewall that leaves that open. */
export function verdict(
  from: string,
  to: string,
  { dataPort, sure, mtu }: {
    readonly dataPort: number;
    readonly sure: boolean;
    readonly mtu: number;
  },
  [small, large]: readonly Probed[],
): Finding | undefined {
  if (small?.ok && large?.ok) return undefined;
  const pair = `${from} -> ${to}`;
  const changed = [small, large].find((result) => result && /changed/.test(result.why));
  if (changed) {
    return trouble(
      pair,
      changed.why,
      "turn checksum offload off: ethtool -K DEVICE tx-checksum-ip-generic off",
    );
  }
  if (small?.ok) {
    return trouble(
      pair,
      `packets of ${mtu} bytes do not arrive, short ones do`,
      "the path carries less than the interfaces say: lower their MTU, or the networks' (--opt com.docker.network.driver.mtu)",
    );
  }
  const text = `no datagram comes back: ${small?.why ?? "no answer"}`;
  return sure
    ? trouble(pair, text, `let UDP ${dataPort} pass between the nodes, in both directions`)
    : warning(
      pair,
      `${text} (tried on another port than the data path's)`,
      `check that UDP ${dataPort} passes between the nodes`,
    );
}

function summed(found: readonly (Finding | undefined)[], fine: string): Finding[] {
  const bad = found.filter((finding): finding is Finding => finding !== undefined);
  return bad.length > 0 ? bad : [ok("network", `${fine} (${found.length} tried)`)];
}

async function eachPair(
  from: readonly ApiNode[],
  to: readonly ApiNode[],
  tryOne: (from: ApiNode, to: ApiNode) => Promise<Finding | undefined>,
): Promise<(Finding | undefined)[]> {
  const pairs = from.flatMap((a, i) => {
    const others = to.filter((b) => b.ID !== a.ID);
    const start = from.length > ALL_PAIRS ? i % Math.max(1, others.length) : 0;
    const count = from.length > ALL_PAIRS ? NEIGHBOURS : others.length;
    return others.slice(start, start + count).map((b) => [a, b] as const);
  });
  const found: (Finding | undefined)[] = [];
  await inTurn(pairs, async ([a, b]) => {
    found.push(
      await tryOne(a, b).catch((error) =>
        warning(nodeNameOf(a), `could not be asked: ${messageOf(error)}`, "run fleet doctor again")
      ),
    );
  });
  return found;
}

async function inTurn<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await act(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
