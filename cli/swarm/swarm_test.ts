import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { answerFixture, SWARM } from "../testing/fixture.ts";
import { rotatedConfig } from "./ca.ts";
import { rotationLines } from "./ca_progress.ts";
import { changedSettings, parseExternalCa } from "./settings.ts";

Deno.test("init starts an agent when none answers, and says so", async () => {
  const folder = await Deno.makeTempDir({ prefix: "fleet-cli-" });
  const path = `${folder}/fleet.sock`;
  let agent: FakeAgent | undefined;
  try {
    const { code, out, err, env } = await runFleet(["init"], {
      host: `unix://${path}`,
      variables: { FLEET_DATA_DIR: "/srv/fleet" },
      startAgent: (options) => agent = new FakeAgent(answerFixture, options.socket),
    });
    assert.equal(code, 0);
    assert.deepEqual(env.agents.map(({ socket, dataDir }) => [socket, dataDir]), [
      [path, "/srv/fleet"],
    ]);
    assert.equal(
      err,
      "No agent was running: started one in the background (pid 4242, log /srv/fleet/agent.log).\n",
    );
    assert.match(out, /^Swarm initialized: current node \(n1a+1\) is now a manager\./);
  } finally {
    await agent?.[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an agent that does not come up is told with its log", async () => {
  const { code, err } = await runFleet(["init"], { host: "unix:///nonexistent/fleet.sock" });
  assert.equal(code, 1);
  assert.match(err, /did not answer within 15 s; its log is \/var\/lib\/fleet\/agent\.log/);
  await using agent = new FakeAgent(answerFixture);
  const there = await runFleet(["init"], { host: agent.host });
  assert.deepEqual([there.code, there.err, there.env.agents.length], [0, "", 0]);
});

Deno.test("init sends what its flags say", async () => {
  await using agent = new FakeAgent(answerFixture);
  await runFleet([
    "init",
    "--advertise-addr",
    "10.0.0.1",
    "--task-history-limit",
    "2",
    "--default-addr-pool",
    "10.20.0.0/16",
    "--availability",
    "drain",
    "--cert-expiry",
    "48h",
  ], { host: agent.host });
  assert.deepEqual(agent.writes[0]?.body, {
    ListenAddr: "",
    AdvertiseAddr: "10.0.0.1",
    DataPathAddr: "",
    DataPathPort: 0,
    ForceNewCluster: false,
    AutoLockManagers: false,
    Availability: "drain",
    DefaultAddrPool: ["10.20.0.0/16"],
    SubnetSize: 24,
    Spec: {
      Orchestration: { TaskHistoryRetentionLimit: 2 },
      CAConfig: { NodeCertExpiry: 172_800_000_000_000 },
    },
  });
});

Deno.test("several addresses: the refusal gets the flag that helps", async () => {
  await using agent = new FakeAgent(({ path }) =>
    path === "/_ping"
      ? new Response("OK")
      : refusal(400, "could not choose an IP address to advertise: 10.0.0.1, 10.1.0.1")
  );
  const { code, err } = await runFleet(["init"], { host: agent.host });
  assert.equal(code, 1);
  assert.match(err, /10\.1\.0\.1 - specify one with --advertise-addr\n$/);
});

Deno.test("join-token --rotate writes with the version it read", async () => {
  await using agent = new FakeAgent(answerFixture);
  const { out } = await runFleet(["join-token", "--rotate", "-q", "worker"], { host: agent.host });
  assert.equal(out, "SWMTKN-1-root-worker\n");
  assert.deepEqual(agent.writes.map(({ path, query }) => [path, query]), [
    ["/swarm/update", { version: "9", rotateWorkerToken: "true" }],
  ]);
});

Deno.test("join takes the token from the input or a file, where no other user reads it", async () => {
  await using agent = new FakeAgent(({ path }) =>
    path === "/_ping" || path === "/swarm/join" ? new Response(null) : { Swarm: {} }
  );
  const options = { host: agent.host, stdin: "SWMTKN-1-a-b\n", files: { "/t": "SWMTKN-1-c-d" } };
  for (const file of ["-", "/t"]) {
    const { code } = await runFleet(["join", "--token-file", file, "10.0.0.1:2377"], options);
    assert.equal(code, 0);
  }
  const tokens = agent.writes.map(({ body }) => (body as { JoinToken: string }).JoinToken);
  assert.deepEqual(tokens, ["SWMTKN-1-a-b", "SWMTKN-1-c-d"]);
  assert.match((await runFleet(["join", "10.0.0.1:2377"], options)).err, /--token is required/);
});

Deno.test("unlock reads the key from standard input, and only when there is a lock", async () => {
  let state = "locked";
  await using agent = new FakeAgent(({ path }) =>
    path === "/info"
      ? { Swarm: { LocalNodeState: state } }
      : path === "/swarm/unlock"
      ? new Response(null)
      : undefined
  );
  const locked = await runFleet(["unlock"], { host: agent.host, stdin: "SWMKEY-1-x\n" });
  assert.equal(locked.code, 0);
  assert.deepEqual(agent.writes[0]?.body, { UnlockKey: "SWMKEY-1-x" });
  state = "active";
  const active = await runFleet(["unlock"], { host: agent.host, stdin: "x\n" });
  assert.deepEqual([active.code, active.err], [1, "error: swarm is not locked\n"]);
});

Deno.test("settings change only what is named", () => {
  const changed = changedSettings(SWARM.Spec, { taskHistoryLimit: 1, maxSnapshots: 3 });
  assert.deepEqual(changed, {
    ...SWARM.Spec,
    Orchestration: { TaskHistoryRetentionLimit: 1 },
    Raft: { ...SWARM.Spec.Raft, KeepOldSnapshots: 3 },
  });
});

Deno.test("an external CA needs protocol and url; more becomes options", () => {
  assert.deepEqual(parseExternalCa("protocol=cfssl,url=https://ca,cacert=ca.pem,profile=node"), {
    Protocol: "cfssl",
    URL: "https://ca",
    CACert: "ca.pem",
    Options: { profile: "node" },
  });
  assert.throws(() => parseExternalCa("protocol=acme,url=https://ca"), /protocol must be cfssl/);
  assert.throws(() => parseExternalCa("protocol=cfssl"), /url is required/);
});

Deno.test("a rotation names the new root, or counts up", () => {
  assert.deepEqual(rotatedConfig({ ForceRotate: 2 }, {}, { cert: undefined, key: undefined }), {
    ForceRotate: 3,
  });
  assert.deepEqual(rotatedConfig({ ForceRotate: 2 }, {}, { cert: "C", key: "K" }), {
    ForceRotate: 2,
    SigningCACert: "C",
    SigningCAKey: "K",
  });
});

Deno.test("ca --rotate waits until every node has followed", async () => {
  let rounds = 0;
  await using agent = new FakeAgent((request) => {
    if (request.path !== "/swarm" || request.method !== "GET") return answerFixture(request);
    rounds++;
    return { ...SWARM, RootRotationInProgress: rounds > 1 && rounds < 4 };
  });
  const { code, out } = await runFleet(["ca", "--rotate"], {
    host: agent.host,
    isTTY: true,
    columns: 120,
  });
  assert.equal(code, 0);
  assert.match(out, /desired root digest: sha256:[0-9a-f]{64}/);
  assert.match(out, /rotated TLS certificates: 3\/3 nodes/);
  assert.match(out, /-----END CERTIFICATE-----\n$/);
});

Deno.test("ca --rotate names who has not followed, and why it cannot", async () => {
  const told = (key: string) => ({ TLSInfo: { CertIssuerPublicKey: key } });
  const node = (Hostname: string, key: string, State: "ready" | "down") => ({
    ID: Hostname,
    Spec: {},
    Status: { State },
    Description: { Hostname, ...told(key) },
  });
  const swarm = { ...told("new"), RootRotationInProgress: true };
  const nodes = [node("h3", "old", "down"), node("h1", "new", "ready"), node("h2", "old", "ready")];
  const lines = await rotationLines(swarm as never, nodes as never);
  assert.deepEqual(lines.slice(1).map(({ id, text }) => `${id}: ${text}`), [
    "rotated TLS certificates: 1/3 nodes",
    "rotated CA certificates: 0/3 nodes",
    "waiting for: h2, h3 (down)",
  ]);
});
