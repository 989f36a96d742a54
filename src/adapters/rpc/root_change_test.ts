/** Roots change under open connections: those stay, and every new handshake is judged by the new roots. */
import assert from "node:assert/strict";
import { Routes } from "./routes.ts";
import { fixtures, issue, makeCa, startLab } from "./test_support.ts";

Deno.test("a listener takes other roots for the next handshakes, and drops nobody", async () => {
  const { ca: old, manager: oldManager, worker: oldWorker } = await fixtures();
  const fresh = await makeCa();
  const [newManager, newWorker] = await Promise.all([
    issue(fresh, { cn: "mgr1", ou: "swarm-manager" }),
    issue(fresh, { cn: "wrk2", ou: "swarm-worker" }),
  ]);
  const both = old.pem + fresh.pem;
  const routes = new Routes();
  routes.route("whoami", { roles: ["worker"] }, (_body, { peer }) => Promise.resolve(peer));
  await using lab = await startLab(routes);
  const ask = async (credentials: typeof oldWorker, caPem: string) => {
    const caller = await lab.dialer({ ...credentials, caPem }).connect(lab.address);
    try {
      return ((await caller.call("whoami", {})) as { nodeId: string }).nodeId;
    } finally {
      caller.close();
    }
  };
  const kept = await lab.dialer(oldWorker).connect(lab.address);
  assert.equal(await ask(oldWorker, old.pem), "wrk1");
  await assert.rejects(ask(newWorker, both), { kind: "forbidden" });

  // While the root changes: both are trusted, certificates come from the new one.
  lab.credentials.swap({ ...newManager, caPem: both });
  assert.equal(await ask(oldWorker, both), "wrk1");
  assert.equal(await ask(newWorker, both), "wrk2");
  await assert.rejects(ask(oldWorker, old.pem), { kind: "unauthorized" });

  // After it.
  lab.credentials.swap({ ...newManager, caPem: fresh.pem });
  assert.equal(await ask(newWorker, fresh.pem), "wrk2");
  await assert.rejects(ask(oldWorker, both), { kind: "forbidden" });

  assert.equal(((await kept.call("whoami", {})) as { nodeId: string }).nodeId, "wrk1");
  kept.close();
  assert.equal(oldManager.caPem, old.pem);
});
