import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import type { ConfChange } from "../../core/raft/types.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { TestCluster } from "../../../tests/support/test_cluster.ts";
import { runRoleManager } from "./role_manager.ts";
import type { RaftRunner } from "./raft_runner.ts";
import type { Writer } from "./writer.ts";

/** A leader `m1` of the managers in `voters`; changes of membership are done at once. */
function setUp(voters: string[], options: { learners?: string[]; unreachable?: string[] } = {}) {
  const cluster = new TestCluster();
  const clock = new ManualClock();
  const conf = { voters: [...voters], learners: [...options.learners ?? []] };
  const said: string[] = [];
  const warnings: string[] = [];
  const match: Record<string, number> = {};
  for (const id of voters) {
    cluster.addNode(id, {
      Role: "manager",
      Spec: { Role: "manager" },
      ManagerAddr: `${id}:2377`,
    } as never);
  }
  const runner = {
    node: {
      status: () => ({
        conf,
        lastIndex: 1_000,
        peers: [...voters, ...conf.learners].map((id) => ({ id, match: match[id] ?? 0 })),
      }),
    },
    proposeConfChange: (change: ConfChange) => {
      said.push(`${change.type} ${change.id}`);
      conf.learners = conf.learners.filter((id) => id !== change.id);
      conf.voters = conf.voters.filter((id) => id !== change.id);
      if (change.type === "promote") conf.voters.push(change.id);
      return Promise.resolve(1);
    },
    transferLeadership: (to: string) => said.push(`transfer to ${to}`),
  } as unknown as RaftRunner;
  const writer = {
    write: (run: Parameters<Writer["write"]>[0]) => Promise.resolve(cluster.write(run)),
  } as unknown as Writer;
  const stop = new AbortController();
  const running = runRoleManager({
    nodeId: "m1",
    view: cluster.store,
    writer,
    runner,
    clock,
    logger: {
      ...silentLogger,
      log: (_level, message, fields) => void warnings.push(`${message} ${fields?.["error"] ?? ""}`),
    },
    reachable: () =>
      [...conf.voters, ...conf.learners].map((nodeId) => ({
        nodeId,
        reachable: !options.unreachable?.includes(nodeId),
      })),
  }, stop.signal).catch(() => {});
  return {
    cluster,
    clock,
    conf,
    said,
    warnings,
    match,
    want: (id: string, Role: "manager" | "worker") =>
      cluster.updateNode(id, (node) => ({ ...node, Spec: { ...node.Spec, Role } })),
    roleOf: (id: string) => cluster.store.get("node", id)?.Role,
    end: async () => {
      stop.abort();
      await running;
    },
  };
}

Deno.test("roles: a promoted node gets the role and a certificate, and a vote once it has caught up", async () => {
  const { cluster, clock, conf, said, match, want, roleOf, end } = setUp(["m1"]);
  cluster.addNode("w1");
  want("w1", "manager");
  await clock.advance(1_000);
  strictEqual(roleOf("w1"), "manager");
  strictEqual(cluster.store.get("node", "w1")?.RenewCertificate, true);
  deepStrictEqual(said, []);
  // It has joined by itself, and is far behind.
  conf.learners.push("w1");
  match["w1"] = 500;
  await clock.advance(2_000);
  deepStrictEqual(said, []);
  match["w1"] = 950;
  await clock.advance(1_000);
  deepStrictEqual(said, ["promote w1"]);
  await end();
});

Deno.test("roles: a demoted manager leaves the group before it loses the role", async () => {
  const { cluster, clock, conf, said, want, roleOf, end } = setUp(["m1", "m2", "m3"]);
  want("m2", "worker");
  await clock.advance(200);
  await clock.advance(1_000);
  deepStrictEqual(said, ["remove m2"]);
  deepStrictEqual(conf.voters, ["m1", "m3"]);
  strictEqual(roleOf("m2"), "worker");
  strictEqual(cluster.store.get("node", "m2")?.ManagerAddr, undefined);
  await end();
});

Deno.test("roles: a leader that is demoted gives the lead away first", async () => {
  const { clock, conf, said, want, roleOf, end } = setUp(["m1", "m2", "m3"], {
    unreachable: ["m2"],
  });
  want("m1", "worker");
  await clock.advance(250);
  // Of the two left only one can be reached: that would be no majority.
  deepStrictEqual(said, []);
  strictEqual(roleOf("m1"), "manager");
  await end();

  const whole = setUp(["m1", "m2", "m3"]);
  whole.want("m1", "worker");
  await whole.clock.advance(1_000);
  strictEqual(whole.said[0], "transfer to m2");
  deepStrictEqual(whole.conf.voters, ["m1", "m2", "m3"]);
  strictEqual(conf.voters.length, 3);
  await whole.end();
});

Deno.test("roles: no demotion that costs the quorum, whatever was wished; it is said why", async () => {
  const { clock, said, warnings, want, roleOf, end } = setUp(["m1", "m2", "m3"], {
    unreachable: ["m3"],
  });
  want("m2", "worker");
  await clock.advance(1_000);
  deepStrictEqual(said, []);
  strictEqual(roleOf("m2"), "manager");
  match(
    warnings[0]!,
    /cannot settle the managers' roles yet demoting node m2 would lose the quorum/,
  );
  await end();
});

Deno.test("roles: a member whose node was removed from the cluster leaves the group", async () => {
  const { cluster, clock, said, end } = setUp(["m1", "m2", "m3"]);
  cluster.write((tx) => tx.remove("node", "m3"));
  await clock.advance(1_000);
  deepStrictEqual(said, ["remove m3"]);
  await end();
});
