/** The root CA is changed under a running service: nothing restarts, no session ends, any leader goes on. */
import assert from "node:assert/strict";
import { inspect, issue } from "../../src/adapters/crypto/certificates.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import * as attack from "../support/attacker.ts";
import { makeRoot, openssl, startCfssl } from "../support/cfssl.ts";
import { writeWithoutPause } from "../support/steady_writes.ts";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const HOSTS = ["h1", "h2", "h3"];
const DAY_MS = 24 * 3_600_000;
/** Of a rotation in which everybody takes part; the machine may be busy. */
const ROTATION_MS = 180_000;

interface Swarm {
  readonly RootRotationInProgress: boolean;
  readonly TLSInfo: {
    readonly TrustRoot: string;
    readonly CertIssuerSubject: string;
    readonly CertIssuerPublicKey: string;
  };
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

const swarm = (lab: FleetLab) => lab.get<Swarm>("h1", "/swarm");

/** Sessions that a host's agent has opened so far. */
async function sessions(lab: FleetLab, host: string): Promise<number> {
  const log = await lab.host(host).log("agent");
  return [...log.matchAll(/(?<!no )session with the managers/g)].length;
}

async function tlsStates(lab: FleetLab): Promise<string> {
  const { stdout } = await lab.try("h1", "node", "ls", "--format", "{{.TLSStatus}}");
  return stdout.trim();
}

/** What openssl says of the certificate on a host's disk under the root there. */
async function verified(lab: FleetLab, host: string): Promise<string> {
  const { dataDir } = lab.host(host).layout;
  const { stdout, stderr } = await capture(
    ["openssl", "verify", "-x509_strict", "-CAfile", `${dataDir}/ca.crt`, `${dataDir}/node.crt`],
  );
  return stdout + stderr;
}

Deno.test("the root CA is changed under a running service", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "root_rotation_" });
  try {
    await withFleetLab("rootca", HOSTS.length, (lab) => rotations(t, lab, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function rotations(t: Deno.TestContext, lab: FleetLab, folder: string): Promise<void> {
  await lab.form({ managers: 2 });
  await lab.fleet(
    "h1",
    ...["service", "create", "-d", "-q", "--no-resolve-image", "--replicas", "3"],
    ...["--name", "web", "busybox", "sleep", "100000"],
  );
  await lab.converged("web", 3);
  const containers = (await lab.containers("web")).map(({ id }) => id).sort();
  const nothingRestarted = async () =>
    assert.deepEqual((await lab.containers("web")).map(({ id }) => id).sort(), containers);
  const first = await swarm(lab);

  await t.step("every node says which root its certificate comes from", async () => {
    await until("all ready", async () => await tlsStates(lab) === "Ready\nReady\nReady");
    assert.equal(await lab.fleet("h1", "ca"), first.TLSInfo.TrustRoot);
    assert.equal(await lab.docker("h1", "swarm", "ca"), first.TLSInfo.TrustRoot);
    for (const host of HOSTS) assert.match(await verified(lab, host), /: OK/);
  });

  await t.step("the stock client changes the root and shows how far it has come", async () => {
    const before = await Promise.all(HOSTS.map((host) => sessions(lab, host)));
    const writes = writeWithoutPause(lab, ["h1", "h2"]);
    // It counts only for people: `script` gives it a terminal.
    const { code, stdout } = await capture([
      "script",
      "-qec",
      "docker swarm ca --rotate",
      "/dev/null",
    ], {
      env: { ...lab.host("h1").env(), TERM: "xterm" },
      timeoutMs: ROTATION_MS,
    });
    assert.equal(code, 0, stdout);
    const written = await writes.stop();
    assert.deepEqual(written.failures, []);
    assert(written.count > 10, `only ${written.count} writes`);
    assert.match(stdout, /desired root digest: sha256:[0-9a-f]{64}/);
    assert.match(stdout, /rotated TLS certificates:.*3\/3 nodes/);
    assert.match(stdout, /rotated CA certificates:.*3\/3 nodes/);
    const now = await swarm(lab);
    assert(stdout.replaceAll("\r", "").includes(now.TLSInfo.TrustRoot));
    assert.notEqual(now.TLSInfo.TrustRoot, first.TLSInfo.TrustRoot);
    await until("all ready", async () => await tlsStates(lab) === "Ready\nReady\nReady");
    for (const host of HOSTS) {
      assert.match(await verified(lab, host), /: OK/);
      const { dataDir } = lab.host(host).layout;
      assert.equal(await Deno.readTextFile(`${dataDir}/ca.crt`), now.TLSInfo.TrustRoot);
    }
    // Another digest and other secrets.
    const parts = (token: string) => token.split("-").slice(2);
    for (const role of ["Worker", "Manager"] as const) {
      const [old, fresh] = [parts(first.JoinTokens[role]), parts(now.JoinTokens[role])];
      assert.notEqual(old[0], fresh[0]);
      assert.notEqual(old[1], fresh[1]);
    }
    assert.deepEqual(await Promise.all(HOSTS.map((host) => sessions(lab, host))), before);
    await nothingRestarted();
  });

  await t.step(
    "a rotation outlasts a change of the leader, and a new one takes its place",
    async () => {
      // A node that does not answer holds the rotation up, and its tasks shall stay where they are.
      await lab.fleet("h1", "update", "--dispatcher-heartbeat", "1m");
      lab.host("h3").signal("agent", "SIGSTOP");
      try {
        await lab.fleet("h1", "ca", "--rotate", "--detach");
        await until(
          "the managers have followed",
          async () =>
            (await tlsStates(lab)).split("\n").filter((state) => state === "Ready").length === 2,
        );
        assert.match(await lab.fleet("h1", "info"), /Root Rotation In Progress:\s+true/);
        const list = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
        const leader = /^(\S+) Leader$/m.exec(await lab.fleet("h1", ...list))![1]!;
        await lab.host(leader).stop("agent");
        await lab.host(leader).startAgent();
        await until("another leader", async () => (await lab.try("h1", "node", "ls")).code === 0);
        assert.equal((await swarm(lab)).RootRotationInProgress, true);
        await makeRoot(folder, "own");
        const files = ["--ca-cert", `${folder}/own.pem`, "--ca-key", `${folder}/own.key`];
        await lab.fleet("h1", "ca", "--rotate", "--detach", ...files);
      } finally {
        lab.host("h3").signal("agent", "SIGCONT");
      }
      await until(
        "the end of the rotation",
        async () => !(await swarm(lab)).RootRotationInProgress,
        ROTATION_MS,
      );
      assert.equal(await lab.fleet("h1", "ca"), await Deno.readTextFile(`${folder}/own.pem`));
      await until("all ready", async () => await tlsStates(lab) === "Ready\nReady\nReady");
      for (const host of HOSTS) assert.match(await verified(lab, host), /: OK/);
      await nothingRestarted();
    },
  );

  let expired: Awaited<ReturnType<typeof attack.stolen>> | undefined;
  await t.step(
    "nodes that were off past their certificates' end come back, also all at once",
    async () => {
      for (const host of HOSTS) await lab.host(host).stop("agent");
      for (const host of HOSTS) await expire(lab, host, folder);
      expired = await attack.stolen(lab.host("h3"));
      for (const host of HOSTS) await lab.host(host).startAgent();
      await until(
        "all are ready",
        async () =>
          (await lab.try("h1", "node", "ls", "--format", "{{.Status}} {{.CertDaysLeft}}"))
            .stdout ===
            "Ready 89\n".repeat(3),
        ROTATION_MS,
      );
      // What the managers knew before is no proof: each has to have fetched another one.
      for (const host of HOSTS) {
        await until(
          `a certificate of ${host} that is valid`,
          async () => /: OK/.test(await verified(lab, host)),
          ROTATION_MS,
        );
      }
      assert.match(await lab.fleet("h3", "info"), /Certificate:\s+89 days left/);
      await nothingRestarted();
    },
  );

  await t.step("an expired certificate with its right key: refused in the handshake", async () => {
    // The same root has signed both; only the dates differ.
    (await attack.dial(lab.host("h1"), await attack.stolen(lab.host("h3")))).close();
    await assert.rejects(attack.dial(lab.host("h1"), expired!), /not by this machine's clock/);
  });

  await t.step("an external CA takes over, signs for everybody, and is left again", async () => {
    await makeRoot(folder, "external");
    const [own, external] = await Promise.all(
      ["own", "external"].map((name) => Deno.readTextFile(`${folder}/${name}.pem`)),
    );
    const url = await startCfssl(lab.host("h1"), folder, "external", own! + external!);
    const cacert = `${folder}/external.pem`;
    const nobody = `protocol=cfssl,url=https://${lab.host("h1").address}:1234/,cacert=${cacert}`;
    const rotate = ["ca", "--rotate", "-q", "--ca-cert", cacert];
    assert.match(
      (await lab.try("h1", ...rotate, "--external-ca", nobody)).stderr,
      /the external CA at .*:1234\/ cannot be reached/,
    );
    const spec = `protocol=cfssl,url=${url},cacert=${cacert}`;
    assert.equal(await lab.fleet("h1", ...rotate, "--external-ca", spec), external);
    for (const host of HOSTS) {
      assert.match(await verified(lab, host), /: OK/);
      const { dataDir } = lab.host(host).layout;
      const { issuerDerBase64 } = inspect(await Deno.readTextFile(`${dataDir}/node.crt`));
      assert.match(atob(issuerDerBase64), /external$/);
    }
    const log = await Deno.readTextFile(`${folder}/external.log`);
    assert(log.split("signed certificate").length > HOSTS.length, log);
    // The key of the root in force is cfssl's alone: it has to sign the way out, too.
    await lab.fleet("h1", "ca", "--rotate", "-q");
    assert.equal((await swarm(lab)).RootRotationInProgress, false);
    assert.notEqual(await lab.fleet("h1", "ca"), external);
    await until("all ready", async () => await tlsStates(lab) === "Ready\nReady\nReady");
    for (const host of HOSTS) assert.match(await verified(lab, host), /: OK/);
    await nothingRestarted();
  });

  await t.step("a token from before lets nobody in any more", async () => {
    await lab.fleet("h3", "leave");
    const join = (token: string) =>
      lab.try("h3", "join", "--token", token, `${lab.host("h1").address}:2377`);
    assert.match((await join(first.JoinTokens.Worker)).stderr, /does not match fingerprint/);
    assert.equal((await join((await swarm(lab)).JoinTokens.Worker)).code, 0);
  });
}

/** Gives a stopped node's key a certificate that ended ten days ago. */
async function expire(lab: FleetLab, host: string, folder: string): Promise<void> {
  const { dataDir } = lab.host(host).layout;
  const [certFile, keyFile] = [`${dataDir}/node.crt`, `${dataDir}/node.key`];
  const { nodeId, role, clusterId } = inspect(await Deno.readTextFile(certFile));
  const csrFile = `${folder}/${host}.csr`;
  await openssl("req", "-new", "-key", keyFile, "-subj", "/", "-out", csrFile);
  const { certPem } = issue({
    caCertPem: await Deno.readTextFile(`${folder}/own.pem`),
    caKeyPem: await Deno.readTextFile(`${folder}/own.key`),
    csrPem: await Deno.readTextFile(csrFile),
    nodeId,
    role,
    clusterId,
    nowMs: Date.now() - 100 * DAY_MS,
    validityMs: 90 * DAY_MS,
  });
  await Deno.writeTextFile(certFile, certPem);
}
