import assert from "node:assert/strict";
import type { FleetError } from "../../base/errors.ts";
import { FULL, MANAGER_ELSEWHERE, withMachine } from "../../../tests/support/one_machine.ts";
import type { OneMachine } from "../../../tests/support/one_machine.ts";
import type { FleetNode } from "./fleet_node.ts";

const INIT = { AdvertiseAddr: "10.0.0.1" };
const NEW_CLUSTER = { ForceNewCluster: true };
const RETRY_MS = 3_000;

async function founded(machine: OneMachine): Promise<{ node: FleetNode; nodeId: string }> {
  const node = await machine.boot();
  const nodeId = await machine.settled(node.init(INIT));
  await machine.settled(label(node, "kept"));
  return { node, nodeId };
}

/** Something of the cluster that would be gone if it began anew. */
async function label(node: FleetNode, value: string): Promise<void> {
  await node.call("config.create", {
    spec: { Name: value, Labels: {}, Data: btoa(value) },
  } as never);
}

async function labels(machine: OneMachine, node: FleetNode): Promise<unknown[]> {
  const { value } = await machine.settled(
    node.read((view) => [...view.all("config")].map(({ Spec }) => Spec.Name)),
  );
  return value;
}

async function refused(machine: OneMachine, node: FleetNode, sentence: RegExp): Promise<void> {
  const before = machine.files();
  const join = { RemoteAddrs: [MANAGER_ELSEWHERE], JoinToken: machine.token };
  for (
    const [what, enter] of [
      ["init", async () => void await node.init(INIT)],
      ["join", () => node.join(join)],
      ["restore", async () => void await node.restore(new Uint8Array(), { passphrase: "x" })],
    ] as const
  ) {
    await assert.rejects(machine.settled(enter()), (error: FleetError) => {
      assert.equal(error.kind, "unavailable", `${what}: ${error.message}`);
      assert.match(error.message, sentence, what);
      assert.match(error.message, /leave --force/, what);
      return true;
    });
  }
  assert.deepEqual(machine.files(), before);
}

Deno.test("a node whose key is open to others is a member all the same, and goes on once it is not", () =>
  withMachine(async (machine) => {
    const { node: before, nodeId } = await founded(machine);
    await before.stop();
    Deno.chmodSync(machine.path("node.key"), 0o644);
    const node = await machine.boot();
    const open = /node\.key is open to others \(mode 644\): chmod 600/;
    assert.equal(node.localState().state, "error");
    assert.match(node.localState().error, open);
    await refused(machine, node, open);
    await assert.rejects(node.leave(false), open);
    Deno.chmodSync(machine.path("node.key"), 0o600);
    await machine.clock.advance(RETRY_MS);
    await machine.settled(node.start());
    assert.equal(node.localState().nodeId, nodeId);
    assert.equal(node.localState().error, "");
    assert.deepEqual(await labels(machine, node), ["kept"]);
    await node.stop();
  }));

Deno.test("damaged state files are told, keep others out, and leave --force is the way out", async (t) => {
  const damages: readonly [string, RegExp, (machine: OneMachine) => void][] = [
    ["text", /node\.json .*damaged/, (m) => Deno.writeTextFileSync(m.path("node.json"), "{ no")],
    ["a shape", /node\.json .*damaged/, (m) => Deno.writeTextFileSync(m.path("node.json"), "{}")],
    ["a lost identity", /node\.json is missing/, (m) => Deno.removeSync(m.path("node.json"))],
    ["a lost certificate", /node\.crt is missing/, (m) => Deno.removeSync(m.path("node.crt"))],
    [
      "no certificate",
      /node\.crt .*damaged/,
      (m) => Deno.writeTextFileSync(m.path("node.crt"), "x"),
    ],
    ["a lost log", /raft\.db is missing/, (m) => Deno.removeSync(m.path("raft.db"))],
  ];
  for (const [what, sentence, damage] of damages) {
    await t.step(what, () =>
      withMachine(async (machine) => {
        const { node: before } = await founded(machine);
        await before.stop();
        damage(machine);
        const node = await machine.boot();
        assert.equal(node.localState().state, "error");
        assert.match(node.localState().error, sentence);
        await refused(machine, node, sentence);
        await node.leave(true);
        assert.equal(node.localState().state, "inactive");
        await machine.settled(node.init(INIT));
        assert.deepEqual(await labels(machine, node), []);
        await node.stop();
      }));
  }
});

Deno.test("files of a membership that were put back keep others out before they are read", () =>
  withMachine(async (machine) => {
    const { node: before } = await founded(machine);
    await before.stop();
    const text = Deno.readTextFileSync(machine.path("node.json"));
    const kept = machine.files();
    for (const name of Object.keys(kept)) Deno.removeSync(machine.path(name));
    const node = await machine.boot();
    assert.equal(node.localState().state, "inactive");
    for (const [name, bytes] of Object.entries(kept)) {
      Deno.writeFileSync(machine.path(name), Uint8Array.fromBase64(bytes), { mode: 0o600 });
    }
    await refused(machine, node, /restart the agent/);
    assert.equal(Deno.readTextFileSync(machine.path("node.json")), text);
  }));

Deno.test("of two that found a cluster at once one is refused, however long the engine takes", () =>
  withMachine(async (machine) => {
    const node = await machine.boot();
    const slow = Promise.withResolvers<void>();
    machine.checkEngine = () => slow.promise;
    const second = node.init(INIT);
    second.catch(() => {});
    machine.checkEngine = () => Promise.resolve();
    const nodeId = await machine.settled(node.init(INIT));
    slow.resolve();
    await assert.rejects(machine.settled(second), /already part of a swarm/);
    assert.equal(node.localState().nodeId, nodeId);
    await node.stop();
  }));

Deno.test("a cluster that cannot be founded leaves nothing behind", async (t) => {
  for (const file of ["node.json", "node.key", "node.crt"]) {
    await t.step(file, () =>
      withMachine(async (machine) => {
        const node = await machine.boot();
        machine.trouble.file = file;
        await assert.rejects(machine.settled(node.init(INIT)), /no space left/);
        assert.equal(node.localState().state, "inactive");
        machine.trouble.file = "";
        await machine.settled(node.init(INIT));
        await node.stop();
      }));
  }
});

Deno.test("a new cluster that could not be forced leaves the old one as it was, and is forced again", async (t) => {
  const troubles: readonly [string, (machine: OneMachine) => void][] = [
    ["the log cannot be opened", (m) => m.trouble.open = FULL],
    ["the log cannot be written", (m) => m.trouble.write = FULL],
    ["node.json cannot be written", (m) => m.trouble.file = "node.json"],
    ["the agent does not stop", (m) => m.trouble.stopAgent = new Error("it hangs")],
    ["the agent does not start", (m) => m.trouble.agent = FULL],
  ];
  for (const [what, begin] of troubles) {
    await t.step(what, () =>
      withMachine(async (machine) => {
        const { node, nodeId } = await founded(machine);
        begin(machine);
        const forced = await machine.settled(node.init(NEW_CLUSTER)).catch((error: Error) => error);
        if (what !== "the agent does not stop") assert(forced instanceof Error, String(forced));
        await assert.rejects(machine.settled(node.init(INIT)), /part of a swarm/);
        // Again, and in vain again.
        if (forced instanceof Error) {
          await assert.rejects(machine.settled(node.init(NEW_CLUSTER)), /no space left/);
        }
        Object.assign(machine.trouble, {
          open: undefined,
          write: undefined,
          file: "",
          agent: undefined,
          stopAgent: undefined,
        });
        assert.equal(await machine.settled(node.init(NEW_CLUSTER)), nodeId);
        assert.equal(node.localState().error, "");
        assert.deepEqual(await labels(machine, node), ["kept"]);
        await node.stop();
      }));
  }
});

Deno.test("a new cluster under another address has its data path there, too, and listens where it is told", () =>
  withMachine(async (machine) => {
    let node = await machine.boot();
    const nodeId = await machine.settled(node.init({ ...INIT, ListenAddr: "10.0.0.1:2377" }));
    await node.stop();
    machine.address = "10.0.0.2";
    node = await machine.boot();
    const request = { ...NEW_CLUSTER, AdvertiseAddr: "10.0.0.2", ListenAddr: "10.0.0.2:2377" };
    assert.equal(await machine.settled(node.init(request)), nodeId);
    assert.equal(node.localState().nodeAddr, "10.0.0.2");
    assert.equal(machine.agentHost!.dataPathAddr, "10.0.0.2");
    const { listenAddr } = JSON.parse(Deno.readTextFileSync(machine.path("node.json")));
    assert.equal(listenAddr, "10.0.0.2:2377");
    await machine.settled(node.init({ ...NEW_CLUSTER, ListenAddr: "0.0.0.0:2377" }));
    assert.match(Deno.readTextFileSync(machine.path("node.json")), /"listenAddr": "10.0.0.2:2377"/);
    await node.stop();
  }));

Deno.test("a manager that stopped for a new cluster starts by itself once there is room", () =>
  withMachine(async (machine) => {
    const { node, nodeId } = await founded(machine);
    machine.trouble.open = FULL;
    await assert.rejects(machine.settled(node.init(NEW_CLUSTER)), /no space left/);
    assert.equal(node.localState().state, "error");
    assert.match(node.localState().error, /no space left/);
    await machine.clock.advance(3 * RETRY_MS);
    assert.equal(node.localState().state, "error");
    const said = machine.lines.filter(({ message }) => message === FULL.message);
    assert.equal(said.length, 1, "it is said once, not at every try");
    machine.trouble.open = undefined;
    await machine.clock.advance(RETRY_MS);
    assert.equal(node.localState().nodeId, nodeId);
    assert.deepEqual(await labels(machine, node), ["kept"]);
    await node.stop();
    assert.equal(node.localState().state, "inactive");
  }));

Deno.test("a promotion that fails on its way is tried again, and holds after a restart", async (t) => {
  const troubles: readonly [string, (machine: OneMachine) => void][] = [
    ["the log cannot be written", (m) => m.trouble.write = FULL],
    ["node.json cannot be written", (m) => m.trouble.file = "node.json"],
    ["a log of an earlier try is there", (m) => Deno.writeTextFileSync(m.path("raft.db"), "rest")],
  ];
  for (const [what, begin] of troubles) {
    await t.step(what, () =>
      withMachine(async (machine) => {
        let node = await machine.boot();
        const join = { RemoteAddrs: [MANAGER_ELSEWHERE], JoinToken: machine.token };
        await machine.settled(node.join(join));
        assert(!node.localState().manager);
        begin(machine);
        machine.role = "manager";
        const told = { managers: [], role: "manager", renewCertificate: false } as const;
        machine.agentHost!.onSession(told);
        await machine.settled(machine.clock.advance(500));
        machine.trouble.write = undefined;
        machine.trouble.file = "";
        await machine.settled(machine.clock.advance(60_000));
        assert(node.localState().manager, machine.lines.map(({ message }) => message).join("\n"));
        await node.stop();
        node = await machine.boot();
        assert.equal(node.localState().error, "");
        assert(node.localState().manager);
        await node.stop();
      }));
  }
});

Deno.test("a demotion that fails on its way is tried again, and wipes the log only when it is not needed", () =>
  withMachine(async (machine) => {
    let node = await machine.boot();
    machine.role = "manager";
    const join = { RemoteAddrs: [MANAGER_ELSEWHERE], JoinToken: machine.token };
    await machine.settled(node.join(join));
    assert(node.localState().manager);
    machine.trouble.file = "node.json";
    machine.role = "worker";
    machine.agentHost!.onSession({ managers: [], role: "worker", renewCertificate: false });
    await machine.settled(machine.clock.advance(500));
    assert(!node.localState().manager);
    assert("raft.db" in machine.files(), "a manager by its files has its log");
    machine.trouble.file = "";
    await machine.settled(machine.clock.advance(60_000));
    assert(!("raft.db" in machine.files()));
    await node.stop();
    node = await machine.boot();
    assert.deepEqual([node.localState().state, node.localState().manager], ["active", false]);
    await node.stop();
  }));
