import assert from "node:assert/strict";
import type { Cluster } from "../../model/cluster.ts";
import { timeText } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { Change, View } from "../../model/view.ts";
import { nodeRootState, RENEWALS_AT_ONCE, rotateRoot, wantedIssuer } from "./root_rotation.ts";

const NOW = Date.UTC(2026, 0, 1);
const A = { Subject: "ca", PublicKey: "a" };
const B = { Subject: "ca", PublicKey: "b" };
const tools = {
  issuerOf: (pem: string) => ({ Subject: "ca", PublicKey: pem }),
  caDigest: (pem: string) => pem.repeat(50).slice(0, 50),
  randomBytes: (n: number) => new Uint8Array(n).fill(7),
};

function cluster(rotating: boolean): Cluster {
  return {
    ID: "c",
    Version: { Index: 1 },
    CreatedAt: timeText(NOW),
    UpdatedAt: timeText(NOW),
    Spec: {},
    IssuedTokens: [],
    RootCA: {
      CACert: "a",
      CAKey: "key-a",
      Issuer: A,
      JoinTokens: { Worker: "w", Manager: "m" },
      ...(rotating
        ? { Rotation: { CACert: "b", CAKey: "key-b", CrossSignedCACert: "x", Issuer: B } }
        : {}),
    },
  };
}

function node(ID: string, more: Partial<Node> & { told?: typeof A } = {}): Node {
  const { told = A, ...rest } = more;
  return {
    ID,
    Version: { Index: 1 },
    CreatedAt: timeText(NOW),
    UpdatedAt: timeText(NOW - 3_600_000),
    Spec: {},
    Role: "worker",
    Status: { State: "ready" },
    CertificateIssuer: told.PublicKey,
    Description: {
      TLSInfo: { CertIssuerSubject: told.Subject, CertIssuerPublicKey: told.PublicKey },
    },
    ...rest,
  };
}

/** The state, and a step of the rotation on it whose changes are made. */
function world(rotating: boolean, nodes: readonly Node[]) {
  let current = cluster(rotating);
  const byId = new Map(nodes.map((each) => [each.ID, each]));
  const view = {
    all: (table: string) => table === "cluster" ? [current] : [...byId.values()],
  } as unknown as View;
  const step = (nowMs = NOW) => {
    const result = rotateRoot(view, nowMs, tools);
    for (const change of result.changes as Change[]) {
      if (change.op === "remove") throw new Error("nothing goes");
      if (change.table === "cluster") current = change.object as Cluster;
      else byId.set(change.object.ID, change.object as Node);
    }
    return result;
  };
  return { step, byId, cluster: () => current };
}

/** As the leader notes a certificate that it has issued. */
function issue(byId: Map<string, Node>, id: string, issuer: typeof A, nowMs = NOW): void {
  const { RenewCertificate: _, ...rest } = byId.get(id)!;
  byId.set(id, { ...rest, CertificateIssuer: issuer.PublicKey, UpdatedAt: timeText(nowMs) });
}

function tell(byId: Map<string, Node>, id: string, issuer: typeof A): void {
  const TLSInfo = { CertIssuerSubject: issuer.Subject, CertIssuerPublicKey: issuer.PublicKey };
  byId.set(id, { ...byId.get(id)!, Description: { TLSInfo } });
}

Deno.test("nodes are asked, and when all hold the new root's certificate it is the root", () => {
  const { step, byId, cluster } = world(true, [node("n1"), node("n2")]);
  assert.equal(step().changes.length, 2);
  assert([...byId.values()].every(({ RenewCertificate }) => RenewCertificate));
  assert.deepEqual(step(), { changes: [] });
  for (const id of ["n1", "n2"]) issue(byId, id, B);
  // Issued is not installed: the old certificate may be what it shows.
  assert.equal(step().changes.length, 0);
  for (const id of ["n1", "n2"]) tell(byId, id, B);
  step();
  const { RootCA, IssuedTokens } = cluster();
  assert.equal(RootCA.Rotation, undefined);
  assert.equal(RootCA.CACert, "b");
  assert.equal(RootCA.CAKey, "key-b");
  assert.deepEqual(RootCA.Issuer, B);
  assert.match(RootCA.JoinTokens.Worker, /^SWMTKN-1-b{50}-/);
  assert.match(RootCA.JoinTokens.Manager, /^SWMTKN-1-b{50}-/);
  // They pinned the old root.
  assert.equal(IssuedTokens, undefined);
  assert.deepEqual(step(), { changes: [] });
});

Deno.test("a node that is away holds the end up until it is back or removed", () => {
  const { step, byId, cluster } = world(true, [
    node("n1", { told: B }),
    node("n2", { Status: { State: "down" } }),
  ]);
  assert.deepEqual(step().changes, []);
  byId.set("n2", { ...byId.get("n2")!, Status: { State: "ready" } });
  assert.equal(step().changes.length, 1);
  byId.delete("n2");
  step();
  assert.equal(cluster().RootCA.CACert, "b");
});

Deno.test("no more than a few are asked at once", () => {
  const nodes = Array.from({ length: 70 }, (_, i) => node(`n${String(i).padStart(2, "0")}`));
  const { step, byId } = world(true, nodes);
  const asked = () => [...byId.values()].filter(({ RenewCertificate }) => RenewCertificate).length;
  step();
  assert.equal(asked(), RENEWALS_AT_ONCE);
  assert.deepEqual(step().changes, []);
  issue(byId, "n00", B);
  assert.deepEqual(step().changes, [], "it counts until it has told");
  tell(byId, "n00", B);
  assert.equal(step().changes.length, 1);
});

Deno.test("a node that got a certificate and does not say so is asked again", () => {
  const { step, byId } = world(true, [node("n1")]);
  step();
  issue(byId, "n1", B, NOW);
  const { changes, wakeAtMs } = step(NOW + 1);
  assert.deepEqual(changes, []);
  assert.equal(wakeAtMs, NOW + 10_000);
  assert.equal(step(wakeAtMs!).changes.length, 1);
});

Deno.test("after a rotation that was given up those who followed it come back", () => {
  const { step, byId, cluster } = world(false, [
    node("n1", { told: B }),
    node("n2"),
    // From before certificates were noted; its first hello tells.
    { ...node("n3"), Description: {} },
  ]);
  step();
  assert.deepEqual([...byId.values()].filter((n) => n.RenewCertificate).map((n) => n.ID), ["n1"]);
  issue(byId, "n1", A);
  tell(byId, "n1", A);
  assert.deepEqual(step().changes, []);
  assert.equal(cluster().RootCA.CACert, "a");
  assert.deepEqual(wantedIssuer(cluster()), A);
});

Deno.test("an older certificate that arrives late does not pass for the wanted one", () => {
  // It says B, but A was issued to it since, by a rotation in between.
  assert.equal(
    nodeRootState({ ...node("n1", { told: B }), CertificateIssuer: "a" }, B, NOW),
    "waiting",
  );
});

Deno.test("a cluster that did not note its issuer gets it noted, and nobody is asked for anything", () => {
  const { Issuer: _, ...RootCA } = cluster(false).RootCA;
  const old = { ...cluster(false), RootCA };
  const view = {
    all: (table: string) => table === "cluster" ? [old] : [node("n1")],
  } as unknown as View;
  const { changes } = rotateRoot(view, NOW, tools);
  assert.equal(changes.length, 1);
  assert.deepEqual((changes[0] as { object: Cluster }).object.RootCA, { ...RootCA, Issuer: A });
});
