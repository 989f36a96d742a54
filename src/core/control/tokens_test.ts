import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import type { Cluster } from "../../model/cluster.ts";
import type { Node } from "../../model/node.ts";
import { admitNode, noteRenewal, redeemToken } from "./admission.ts";
import type { ControlContext } from "./context.ts";
import { createToken, revokeToken } from "./tokens.ts";

const DIGEST = "a".repeat(50);

/** The cluster's row, and a clock that the test moves. */
function world() {
  let cluster = {
    ID: "c",
    RootCA: {
      CACert: "",
      JoinTokens: { Worker: `SWMTKN-1-${DIGEST}-w`, Manager: `SWMTKN-1-${DIGEST}-m` },
    },
  } as unknown as Cluster;
  let ids = 0;
  const tx = {
    all: () => [cluster],
    get: () => cluster,
    update: (_: string, next: Cluster) => void (cluster = next),
  };
  const context = {
    tx,
    nowMs: Date.UTC(2026, 0, 1),
    newId: () => `id${++ids}`,
    randomBytes: (n: number) => new Uint8Array(n).fill(++ids),
    managers: [],
  };
  return { context: context as unknown as ControlContext & { nowMs: number }, now: () => cluster };
}

const equal = (a: string, b: string) => a === b;

Deno.test("tokens: one use lets one node in, with its role and labels", () => {
  const { context } = world();
  const { token } = createToken(context, { role: "manager", uses: 1, labels: { zone: "b" } });
  match(token, /^SWMTKN-1-a{50}-[0-9a-z]{25}$/);
  deepStrictEqual(redeemToken(context, token, equal), { role: "manager", labels: { zone: "b" } });
  throws(() => redeemToken(context, token, equal), /has been used up/);
});

Deno.test("tokens: past its time a token lets nobody in, and is forgotten when another is made", () => {
  const { context, now } = world();
  const { token } = createToken(context, { role: "worker", ttlMs: 1000, labels: {} });
  Object.assign(context, { nowMs: context.nowMs + 1000 });
  throws(() => redeemToken(context, token, equal), /expired at/);
  createToken(context, { role: "worker", uses: 2, labels: {} });
  strictEqual(now().IssuedTokens?.length, 1);
});

Deno.test("tokens: a revoked one is unknown; what cannot be is refused", () => {
  const { context } = world();
  const { id, token } = createToken(context, { role: "worker", labels: {} });
  revokeToken(context, { id });
  throws(() => redeemToken(context, token, equal), /a valid join token is necessary/);
  throws(() => revokeToken(context, { id: "nope" }), /token nope not found/);
  throws(() => createToken(context, { role: "worker", uses: 0, labels: {} }), /--uses/);
  throws(() => createToken(context, { role: "worker", ttlMs: 0, labels: {} }), /--ttl/);
});

Deno.test("a request is good for one node: its key gets no second name", () => {
  const nodes = new Map<string, Node>();
  const tx = {
    all: () => nodes.values(),
    get: (_: string, id: string) => nodes.get(id),
    create: (_: string, node: Node) => void nodes.set(node.ID, node),
    update: (_: string, node: Node) => void nodes.set(node.ID, node),
  };
  const context = { tx, nowMs: 0 } as unknown as ControlContext;
  const certificate = (keyId: string) => ({
    notBeforeMs: 0,
    notAfterMs: 1,
    keyId,
    issuerKey: "root",
  });
  const admit = (id: string, keyId: string) =>
    admitNode(context, {
      ...{ id, role: "worker", labels: {}, availability: "active" },
      certificate: certificate(keyId),
    });
  admit("n1", "k1");
  const conflict = { kind: "conflict", message: /used before, by node n1/ };
  throws(() => admit("n2", "k1"), conflict);
  strictEqual(nodes.size, 1);
  admit("n2", "k2");
  noteRenewal(context, "n1", certificate("k3"));
  // The one before is still n1's, should the newest have been lost on the way.
  for (const keyId of ["k1", "k3"]) {
    throws(() => noteRenewal(context, "n2", certificate(keyId)), conflict);
  }
  noteRenewal(context, "n1", certificate("k3"));
});
