/**
 * Attacks on real processes. Each step is named after what it tries; `THREATS.md` names the steps. What an
 * uninvited peer tries on one listener alone is in `src/adapters/rpc/attack_test.ts`.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createKeyAndCsr } from "../../src/adapters/crypto/certificate_request.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { issue, makeCa } from "../../src/adapters/rpc/test_support.ts";
import type { RpcCaller } from "../../src/adapters/rpc/types.ts";
import { FleetError } from "../../src/base/errors.ts";
import { ROUTE_ROLES } from "../../src/core/pki/route_roles.ts";
import * as attack from "../support/attacker.ts";
import { attackApi } from "./support/api_attacks.ts";
import { FRAMES } from "./support/malformed_frames.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const SECRET = "a-known-secret-value-90210";
const OTHER_SECRET = "another-known-secret-60606";
/** Longer runs of the same: FLEET_FUZZ_SECONDS=60, FLEET_FUZZ_SEED=… */
const FUZZ_SECONDS = Number(Deno.env.get("FLEET_FUZZ_SECONDS") ?? 5);
const SEED = Number(Deno.env.get("FLEET_FUZZ_SEED") ?? 4);
const HALF_OPEN = 10_000;

/** Without an end; some at a time, so that they need little memory. */
function* frames() {
  for (let seed = SEED;; seed++) yield* fc.sample(FRAMES, { numRuns: 2_000, seed });
}

/** The sentence with which a call is refused. */
async function refusal(caller: RpcCaller, route: string, body: unknown = {}): Promise<FleetError> {
  try {
    const answer = await caller.call(route, body, { timeoutMs: 60_000 });
    throw new Error(`${route} was answered: ${JSON.stringify(answer)}`);
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
}

/** The cluster works: it takes a write and answers. */
async function works(lab: FleetLab, name: string): Promise<void> {
  const { code, stderr } = await capture([BINARY, "config", "create", name, "-"], {
    env: lab.host("h1").env(),
    stdin: "x",
    timeoutMs: 120_000,
  });
  assert.equal(code, 0, `${name}: ${stderr}`);
}

Deno.test("attacks", async (t) => {
  await withFleetLab("attacks", 3, async (lab) => {
    const [h1, h2, h3] = ["h1", "h2", "h3"].map((name) => lab.host(name)) as [
      ReturnType<FleetLab["host"]>,
      ReturnType<FleetLab["host"]>,
      ReturnType<FleetLab["host"]>,
    ];
    await lab.form();
    const secret = async (name: string, value: string) => {
      const { code } = await capture([BINARY, "secret", "create", name, "-"], {
        env: h1.env(),
        stdin: value,
      });
      assert.equal(code, 0);
    };
    await secret("mine", SECRET);
    await secret("theirs", OTHER_SECRET);
    const service = (name: string, host: string, key: string) =>
      lab.fleet("h1", ...["service", "create", "--name", name, "--secret", key, "-d", "-q"], ...[
        ...["--constraint", `node.hostname==${host}`, "--no-resolve-image", "busybox"],
        ...["sh", "-c", "cat /run/secrets/* | md5sum; sleep 10000"],
      ]);
    await service("own", "h3", "mine");
    await service("other", "h2", "theirs");
    await Promise.all([lab.converged("own", 1), lab.converged("other", 1)]);
    const pid = h1.pid("agent")!;
    const manager = await attack.stolen(h1);
    const worker = await attack.stolen(h2);
    const thief = await attack.stolen(h3);
    const workerToken = (await lab.fleet("h1", "join-token", "-q", "worker")).trim();
    const logOf = (host: string) => lab.host(host).log("agent");

    await t.step(
      "no certificate: only the root can be fetched, and a token is asked for",
      async () => {
        const caller = await attack.dialAnonymously(h1);
        const { csrPem } = createKeyAndCsr();
        for (const [route, roles] of Object.entries(ROUTE_ROLES)) {
          if ((roles as readonly string[]).includes("anonymous")) continue;
          assert.equal((await refusal(caller, route)).kind, "unauthorized", route);
        }
        assert.equal((await refusal(caller, "nowhere")).kind, "unauthorized");
        assert.equal((await refusal(caller, "ca.issue", { csr: csrPem })).kind, "unauthorized");
        assert.match(JSON.stringify(await caller.call("ca.root", {})), /BEGIN CERTIFICATE/);
        caller.close();
      },
    );

    await t.step("self-signed, and of another cluster's CA: refused in the handshake", async () => {
      const foreign = await makeCa();
      const { clusterId } = JSON.parse(
        await Deno.readTextFile(`${h1.layout.dataDir}/node.json`),
      ) as { clusterId: string };
      // All names are right; only who signed is wrong.
      const names = { cn: manager.nodeId, ou: "swarm-manager", o: clusterId };
      for (
        const credentials of [
          { ...await issue(foreign, names), caPem: manager.caPem },
          { caPem: manager.caPem, certPem: foreign.pem, keyPem: foreign.keyPem },
        ]
      ) {
        await assert.rejects(attack.dial(h1, credentials), /not valid in this cluster/);
      }
    });

    await t.step("a certificate with somebody else's key: refused", async () => {
      await assert.rejects(
        (async () => (await attack.dial(h1, { ...manager, keyPem: worker.keyPem })).close())(),
      );
    });

    await t.step("downgraded TLS, other protocols: no handshake", async () => {
      const folder = await Deno.makeTempDir({ prefix: "attacks_" });
      await Deno.writeTextFile(`${folder}/pem`, manager.certPem + manager.keyPem, { mode: 0o600 });
      const client = [
        "openssl",
        "s_client",
        "-connect",
        `${h1.address}:2377`,
        "-cert",
        `${folder}/pem`,
      ];
      for (
        const flags of [["-tls1_2"], ["-tls1_1"], ["-tls1"], [
          "-ciphersuites",
          "TLS_AES_128_CCM_8_SHA256",
        ]]
      ) {
        const { stdout, code } = await capture([...client, ...flags], {
          stdin: "",
          timeoutMs: 60_000,
        });
        assert.notEqual(code, 0, flags.join(" "));
        assert.match(stdout, /Cipher is \(NONE\)|no peer certificate available/, flags.join(" "));
      }
      // The right TLS for another protocol gets no further either.
      for (const alpn of ["h2", "http/1.1", "fleet/0"]) {
        const args = [...client, "-alpn", alpn, "-servername", "swarm-manager", "-quiet"];
        const { stdout } = await capture(args, { stdin: "", timeoutMs: 60_000 });
        assert.doesNotMatch(stdout, /nodeId/);
      }
      await Deno.remove(folder, { recursive: true });
    });

    await t.step("a worker as manager: every manager's route is forbidden to it", async () => {
      const caller = await attack.dial(h1, worker);
      for (const [route, roles] of Object.entries(ROUTE_ROLES)) {
        if ((roles as readonly string[]).includes("worker")) continue;
        const body = { method: "node.remove", args: { id: manager.nodeId, force: true } };
        const { kind, message } = await refusal(caller, route, body);
        assert.equal(kind, "forbidden", route);
        assert.match(message, new RegExp(`worker ${worker.nodeId} may not call`));
      }
      caller.close();
      // Nor can it pass for one where others dial.
      assert.equal((await refusal(await attack.dial(h1, worker), "raft.join")).kind, "forbidden");
    });

    await t.step("a worker that asks for another name or role gets its own", async () => {
      const caller = await attack.dial(h1, worker);
      const answer = await caller.call("ca.issue", {
        csr: createKeyAndCsr().csrPem,
        nodeId: manager.nodeId,
        role: "manager",
        token: (await lab.fleet("h1", "join-token", "-q", "manager")).trim(),
      }) as { nodeId: string; role: string };
      assert.deepEqual([answer.nodeId, answer.role], [worker.nodeId, "worker"]);
      caller.close();
    });

    await t.step(
      "a stolen worker's key: its own tasks, secrets and configs, nothing else",
      async () => {
        const caller = await attack.dial(h1, thief);
        const session = caller.open("dispatcher.session", {});
        const messages = session[Symbol.asyncIterator]();
        await session.send({ type: "hello", description: { Hostname: "h3" } });
        let text = "";
        while (!text.includes('"type":"assignments"')) {
          const { value, done } = await messages.next();
          assert(!done, "the session ended");
          text += JSON.stringify(value);
        }
        assert(text.includes(btoa(SECRET)), "not even its own: the test tries nothing");
        assert(!text.includes(btoa(OTHER_SECRET)));
        const [other] = await lab.running("other");
        // It says of another node's task that it failed, of itself that it is that node.
        await session.send({
          type: "status",
          updates: [{ taskId: other!.ID, status: { State: "failed", Err: "by a thief" } }],
        });
        while (!text.includes('"type":"ack"')) {
          const { value, done } = await messages.next();
          assert(!done, "the session ended");
          text += JSON.stringify(value);
        }
        assert.equal((await lab.running("other"))[0]?.ID, other!.ID);
        assert.doesNotMatch(JSON.stringify(await lab.tasks("other")), /by a thief/);
        const answer = caller.open("tasks.answer", { requestId: "guessed" });
        await assert.rejects(answer[Symbol.asyncIterator]().next(), /nobody waits for this answer/);
        caller.close();
      },
    );

    await t.step(
      "a worker's places on networks: its own, and on attachable ones only",
      async () => {
        const ids: string[] = [];
        for (const flags of [["closed"], ["--attachable", "open"]]) {
          ids.push((await lab.fleet("h1", "network", "create", "-d", "overlay", ...flags)).trim());
        }
        const [closed, open] = ids;
        const caller = await attack.dial(h1, worker);
        assert.equal(await caller.call("attachments.find", { reference: "closed" }), null);
        const attach = (body: object) =>
          refusal(caller, "attachments.attach", { networkId: open, aliases: [], ...body });
        assert.equal((await attach({ networkId: closed })).kind, "forbidden");
        assert.equal((await attach({ networkId: "../x" })).kind, "not-found");
        for (
          const odd of [{ aliases: ["a\nb"] }, { name: "x".repeat(300) }, { containerId: "\0" }]
        ) {
          assert.equal((await attach(odd)).kind, "invalid", JSON.stringify(odd));
        }
        assert.equal((await attach({ aliases: Array(65).fill("a") })).kind, "invalid");
        // Another node's task is not its to release.
        const [own] = await lab.running("own");
        await caller.call("attachments.release", { taskIds: [own!.ID] });
        assert.equal((await lab.running("own"))[0]?.ID, own!.ID);
        // Nor is another node's container its to stop or to start.
        const run = ["run", "-d", "--name", "theirs", "--network", "open", "busybox:latest"];
        await lab.docker("h1", ...run, "sleep", "100000");
        type Row = { ID: string; Name?: string; NetworksAttachments: { Addresses?: string[] }[] };
        const theirs = async () => {
          const tasks = await lab.get<Row[]>("h1", "/v1.41/tasks");
          const { ID, NetworksAttachments } = tasks.find(({ Name }) => Name === "theirs")!;
          return { ID, addresses: NetworksAttachments[0]?.Addresses };
        };
        const before = await theirs();
        const stop = { taskId: before.ID, keepAddress: false };
        assert.equal((await refusal(caller, "attachments.stopped", stop)).kind, "forbidden");
        assert.deepEqual(await caller.call("attachments.started", { taskIds: [before.ID] }), []);
        assert.equal(before.addresses?.length, 1);
        assert.deepEqual(await theirs(), before);
        await lab.docker("h1", "rm", "-f", "theirs");
        caller.close();
      },
    );

    await t.step(
      "a worker's address as a command for other nodes: refused, nothing stored",
      async () => {
        const caller = await attack.dial(h1, thief);
        const session = caller.open("dispatcher.session", {});
        const description = { Hostname: "h3", Overlay: { Addr: "10.0.0.1\nlink set eth0 down" } };
        await session.send({ type: "hello", description });
        await assert.rejects(
          (async () => {
            for await (const _ of session) { /* until it is refused */ }
          })(),
          /Overlay\.Addr: expected an IP address/,
        );
        caller.close();
        assert.doesNotMatch(JSON.stringify(await lab.get("h1", "/nodes")), /eth0 down/);
      },
    );

    await t.step("wrong, old and foreign tokens, a worker's token for a manager", async () => {
      const foreign = `SWMTKN-1-${"a".repeat(50)}-${"b".repeat(25)}`;
      const guessed = workerToken.slice(0, -25) + "0".repeat(25);
      for (const token of [foreign, guessed, workerToken.slice(0, -1), "", "x".repeat(257)]) {
        const { refusal } = await attack.tryToJoin(h1, token);
        assert(["unauthorized", "invalid"].includes(refusal!.kind), refusal!.message);
        assert(
          token === "" || !refusal!.message.includes(token.slice(-25)),
          "it repeats the token",
        );
      }
      const old = (await lab.fleet("h1", "join-token", "-q", "--rotate", "manager")).trim();
      await lab.fleet("h1", "join-token", "-q", "--rotate", "manager");
      assert.equal((await attack.tryToJoin(h1, old)).refusal?.kind, "unauthorized");
      const asManager = await attack.tryToJoin(h1, workerToken, { role: "manager" });
      assert.equal(asManager.role, "worker");
      await lab.fleet("h1", "node", "rm", "--force", asManager.nodeId!);
    });

    await t.step("a replayed join: the request is good for one node", async () => {
      const { csrPem: csr } = createKeyAndCsr();
      const first = await attack.tryToJoin(h1, workerToken, { csr });
      assert.equal(first.role, "worker");
      const replayed = await attack.tryToJoin(h1, workerToken, { csr });
      assert.equal(replayed.refusal?.kind, "conflict");
      const nodes = await lab.get<unknown[]>("h1", "/nodes");
      assert.equal(nodes.length, 4);
      await lab.fleet("h1", "node", "rm", "--force", first.nodeId!);
    });

    await t.step("malformed requests for a certificate: refused in a sentence", async () => {
      const { csrPem } = createKeyAndCsr();
      const bytes = Uint8Array.fromBase64(csrPem.replace(/-----[^-]+-----|\s/g, ""));
      const pem = (der: Uint8Array) =>
        `-----BEGIN CERTIFICATE REQUEST-----\n${der.toBase64()}\n-----END CERTIFICATE REQUEST-----\n`;
      const odd: unknown[] = ["", "x", 7, null, {}, "x".repeat(9_000), pem(bytes.subarray(0, 90))];
      for (const at of [5, 40, 80, bytes.length - 3]) {
        const changed = bytes.slice();
        changed[at]! ^= 0x40;
        odd.push(pem(changed));
      }
      for (const csr of odd) {
        const { refusal } = await attack.tryToJoin(h1, workerToken, { csr: csr as string });
        assert.equal(refusal?.kind, "invalid", JSON.stringify(csr));
      }
    });

    await t.step("guessing tokens: slowed down and logged; others still join", async () => {
      const token = workerToken.slice(0, -25) + "1".repeat(25);
      let slowed: FleetError | undefined;
      for (let i = 0; i < 80 && !slowed; i++) {
        const { refusal } = await attack.tryToJoin(h1, token);
        if (refusal?.kind === "unavailable") slowed = refusal;
      }
      assert.match(slowed?.message ?? "", /too many attempts to join from \S+: try again in \d+ s/);
      await until("both are in the log", async () => {
        const log = await logOf("h1");
        return /warn +too many attempts to join; they are not looked at/.test(log) &&
          /warn +a node was not let in from=/.test(log);
      });
      // From its own address a machine with the right token comes in as ever.
      await lab.fleet("h3", "leave");
      await until("it is down", async () => {
        const rows = await lab.fleet("h1", "node", "ls", "--format", "{{.Hostname}} {{.Status}}");
        return /h3 Down/.test(rows);
      });
      await lab.fleet("h3", "join", "--token", workerToken, `${h1.address}:2377`);
      await lab.converged("own", 1);
    });

    await t.step(
      "a removed node: streams closed within a second, refused from then on",
      async () => {
        const { nodeId, ...credentials } = await attack.stolen(h3);
        const caller = await attack.dial(h1, credentials);
        const closed = new Promise<number>((resolve) =>
          caller.closed.addEventListener("abort", () => resolve(performance.now()))
        );
        assert.equal(
          (await caller.call("cluster.leader", {}) as { nodeId: string }).nodeId,
          manager.nodeId,
        );
        const removed = lab.fleet("h1", "node", "rm", "--force", nodeId)
          .then(() => performance.now());
        const [closedAt, removedAt] = await Promise.all([closed, removed]);
        assert(closedAt - removedAt < 1_000, `${closedAt - removedAt} ms`);
        await assert.rejects(attack.dial(h1, credentials), /was removed from the cluster/);
        await until("its agent is told", async () => /was removed/.test(await logOf("h3")));
        await lab.fleet("h3", "leave", "--force");
        const files = await h3.exec(["find", "/run/fleet", "-path", "*secret*", "-type", "f"]);
        assert.equal(files.stdout, "", "secrets stayed after the node left");
        await lab.fleet("h3", "join", "--token", workerToken, `${h1.address}:2377`);
        await lab.converged("own", 1);
      },
    );

    await t.step(
      "10,000 half-open connections and a slow-loris: memory bounded, the cluster works",
      async () => {
        const before = attack.memoryOf(pid);
        let peak = 0;
        const sockets = new Set<{ destroy(): void }>();
        const drip = setInterval(() => {
          for (const socket of slow) socket.write(new Uint8Array(1));
        }, 200);
        const slow = await Promise.all(Array.from({ length: 80 }, () => attack.rawTls(h1)));
        for (let i = 0; i < HALF_OPEN; i += 100) {
          const made = await Promise.all(Array.from({ length: 100 }, () => attack.halfOpen(h1)));
          for (const socket of made) {
            sockets.add(socket);
            socket.once("close", () => sockets.delete(socket));
          }
          peak = Math.max(peak, attack.memoryOf(pid));
          if (i % 2_500 === 0) await works(lab, `flood-${i}`);
        }
        clearInterval(drip);
        assert.equal(h1.pid("agent"), pid);
        assert(peak - before < 250, `memory went from ${before} to ${peak} MiB`);
        await until("it displaced itself", () => sockets.size <= 128);
        await until("all nodes are ready", async () => {
          const { stdout } = await lab.try("h1", "node", "ls", "--format", "{{.Status}}");
          return stdout.match(/Ready/g)?.length === 3;
        });
        for (const socket of [...sockets, ...slow]) socket.destroy();
      },
    );

    await t.step(`random bytes and malformed frames on 2377 for ${FUZZ_SECONDS} s`, async () => {
      const before = attack.memoryOf(pid);
      const end = performance.now() + FUZZ_SECONDS * 1_000;
      let runs = 0;
      for (const { who, pieces } of frames()) {
        if (performance.now() > end) break;
        const socket = who === "outside"
          ? await attack.halfOpen(h1)
          : await attack.rawTls(h1, who === "worker" ? worker : undefined);
        for (const piece of pieces) socket.write(piece);
        socket.end();
        socket.destroySoon();
        if (++runs % 200 === 0) await works(lab, `fuzz-${runs}`);
      }
      assert(runs > 50, `only ${runs} runs`);
      await works(lab, "fuzz-end");
      assert.equal(h1.pid("agent"), pid, "the agent was started again");
      const grown = attack.memoryOf(pid) - before;
      assert(grown < 150, `${grown} MiB after ${runs} runs`);
      assert.doesNotMatch(
        await logOf("h1"),
        / error +route failed/,
        "a route met what it did not expect",
      );
    });

    await attackApi(t, lab);

    await t.step("lines for the log: everything that strangers say stays in its line", async () => {
      const forged = "\n2026-01-01T00:00:00.000Z error forged by a stranger\x1b[2J";
      const caller = await attack.dialAnonymously(h1);
      await refusal(caller, `x${forged}`);
      await refusal(caller, "ca.issue", { csr: "x", token: "x", availability: forged });
      caller.close();
      const asWorker = await attack.dial(h1, worker);
      await refusal(asWorker, `x${forged}`);
      asWorker.close();
      await attack.rawHttp(
        h1,
        `GET /nodes/${encodeURIComponent(forged)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      const log = await logOf("h1");
      assert.doesNotMatch(log, /^2026-01-01T00:00:00\.000Z/m);
      assert(!log.includes("\x1b"));
    });

    await t.step("a demoted manager with its old certificate: a worker's rights only", async () => {
      await lab.fleet("h1", "node", "promote", "h2");
      await until(
        "it is a manager",
        async () => (await lab.try("h2", "node", "ls")).code === 0,
      );
      const old = await attack.stolen(h2);
      await lab.fleet("h1", "node", "demote", "h2");
      await until("it is none", async () => (await lab.try("h2", "node", "ls")).code !== 0);
      const caller = await attack.dial(h1, old);
      assert.equal(caller.peer.role, "manager");
      const removal = { method: "node.remove", args: { id: thief.nodeId, force: true } };
      for (const route of ["control.call", "ca.issueFor", "raft.join"]) {
        const { kind, message } = await refusal(caller, route, {
          ...removal,
          addr: "10.9.9.9:2377",
        });
        assert.equal(kind, "forbidden", `${route}: ${message}`);
      }
      const question = caller.open("tasks.ask", { taskId: "x", path: "json" });
      await assert.rejects(question[Symbol.asyncIterator]().next(), FleetError);
      // It says that it was added later than this manager can know, and that it leads.
      const members = async () =>
        (await lab.get<{ ID: string; ManagerStatus?: object }[]>("h1", "/nodes"))
          .map(({ ID, ManagerStatus }) => [ID, ManagerStatus]);
      const before = await members();
      for (const joinedIndex of [0, 1e12]) {
        const hello = { joinedIndex, starts: 1, name: "thief" };
        const said = await attack.pretendToLead(caller, old.nodeId, manager.nodeId, hello);
        assert.equal(said.kind, "forbidden", said.message);
        assert.match(said.message, /is no member of the consensus group/);
      }
      assert.deepEqual(await members(), before);
      await works(lab, "after-a-forged-leader");
      const { csrPem: csr } = createKeyAndCsr();
      assert.equal((await caller.call("ca.issue", { csr }) as { role: string }).role, "worker");
      caller.close();
    });

    await t.step("a worker's own API: nothing of the cluster is there", async () => {
      for (const path of ["swarm", "nodes", "services", "tasks", "secrets", "configs"]) {
        const said = await attack.rawHttp(
          h2,
          `GET /${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        );
        assert.match(said, /^HTTP\/1\.1 503 /, path);
      }
      const create = JSON.stringify({ Name: "evil", Driver: "overlay" });
      const said = await attack.rawHttp(
        h2,
        `POST /networks/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${create.length}\r\n\r\n${create}`,
      );
      assert.doesNotMatch(said, /^HTTP\/1\.1 2/);
      assert.doesNotMatch(JSON.stringify(await lab.get("h1", "/networks")), /evil/);
    });

    await t.step(
      "known secrets: in no log, no file of a data directory, no argument of a process",
      async () => {
        const words = [SECRET, OTHER_SECRET, btoa(SECRET), btoa(OTHER_SECRET)];
        for (const host of [h1, h2, h3]) {
          const log = await host.log("agent");
          const { stdout: processes } = await host.exec(["ps", "axww", "-o", "args"]);
          for (const word of [...words, workerToken.slice(-25)]) {
            assert(!log.includes(word), `${word} is in ${host.name}'s log`);
            const inside = processes.split("\n").filter((line) => line.includes(word));
            assert.deepEqual(inside, [], host.name);
            const { code, stdout } = await host.exec([
              "grep",
              "-rlaF",
              "--",
              word,
              host.layout.dataDir,
            ]);
            assert.equal(code, 1, `${word} is in ${stdout}`);
          }
          for (const path of ["services", "tasks", "secrets", "nodes", "swarm"]) {
            if (host !== h1) break;
            const said = JSON.stringify(await lab.get("h1", `/${path}`));
            for (const word of words) assert(!said.includes(word), `${word} is in /${path}`);
            assert.doesNotMatch(said, /PRIVATE KEY/, path);
          }
        }
      },
    );

    await t.step("a crash: no core is written, whatever the limits of who started it", async () => {
      const limits = await Deno.readTextFile(`/proc/${pid}/limits`);
      assert.match(limits, /^Max core file size +0 +0 /m);
    });
  });
});
