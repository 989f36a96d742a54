import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { until } from "../lab_hosts/process.ts";
import { EngineProxy } from "./engine_proxy.ts";

const port = (published: number): RelayedPort => ({
  protocol: "sctp",
  service: "diameter",
  published,
  target: 3868,
  header: false,
  ipv4: false,
  reals: ["10.0.0.2"],
  draining: [],
});

interface Given {
  readonly proxy: EngineProxy;
  readonly folder: string;
  readonly clock: { now: number };
  /** A line for each start of the program: what it was called with. */
  starts(): Promise<string[]>;
  /** Until what it says of the ports is this. */
  says(ports: readonly RelayedPort[], expected: Readonly<Record<string, string>>): Promise<void>;
}

/** With a program in place of the engine's, which is not on every machine; tests/lab has the real one. */
async function withProgram(script: string, use: (given: Given) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const program = `${folder}/docker-proxy`;
  await Deno.writeTextFile(program, `#!/bin/sh\necho "$@" >>${folder}/starts\n${script}\n`);
  await Deno.chmod(program, 0o755);
  const clock = { now: 0 };
  const proxy = new EngineProxy({
    clock: { monotonic: () => clock.now },
    logger: silentLogger,
    hostname: "::",
    folders: ["/nonexistent", folder],
  });
  try {
    await use({
      proxy,
      folder,
      clock,
      starts: async () =>
        (await Deno.readTextFile(`${folder}/starts`).catch(() => "")).split("\n").filter(Boolean),
      says: (ports, expected) =>
        until(
          `the proxy says ${JSON.stringify(expected)}`,
          () =>
            Promise.resolve(
              JSON.stringify(Object.fromEntries(proxy.serve(ports))) === JSON.stringify(expected),
            ),
        ),
    });
  } finally {
    await proxy.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Tells that it listens, and does until it is ended. */
const LISTENS = "echo 0 >&3; exec sleep 1000";

Deno.test("engine proxy: one process for each port, for this node's own port over IPv4", async () => {
  await withProgram(LISTENS, async ({ proxy, starts }) => {
    assert.deepEqual([...proxy.serve([port(9000), port(9001)])], []);
    await until("both have started", async () => (await starts()).length === 2);
    // Other tasks are the kernel's matter.
    assert.deepEqual(
      [...proxy.serve([{ ...port(9000), reals: ["10.0.0.3"] }, port(9001)])],
      [],
    );
    const rest = (published: number) =>
      `-proto sctp -host-ip :: -host-port ${published} -container-ip 127.0.0.1 -container-port ${published}`;
    assert.deepEqual((await starts()).sort(), [rest(9000), rest(9001)]);
  });
});

Deno.test("engine proxy: why it does not listen is told, and it is tried again in its time", async () => {
  const script = 'printf "1\\nlisten sctp6 [::]:9000: bind: address already in use" >&3; exit 1';
  await withProgram(script, async ({ proxy, clock, starts, says }) => {
    const expected = { "sctp/9000": "listen sctp6 [::]:9000: bind: address already in use" };
    await says([port(9000)], expected);
    for (let i = 0; i < 20; i++) proxy.serve([port(9000)]);
    assert.equal((await starts()).length, 1);
    clock.now += 5_000;
    // Told as long as the next one has not said anything better.
    assert.deepEqual(Object.fromEntries(proxy.serve([port(9000)])), expected);
    await until("it was started again", async () => (await starts()).length === 2);
    // Of a port that is not published any more nothing is told.
    assert.deepEqual([...proxy.serve([])], []);
  });
});

Deno.test("engine proxy: one that ends is started again, and is no problem then", async () => {
  // The first one ends at once.
  const script = '[ $(wc -l <"${0%/*}/starts") = 1 ] && { echo 0 >&3; exit; }; ' + LISTENS;
  await withProgram(script, async ({ clock, says, starts }) => {
    await says([port(9000)], { "sctp/9000": "docker-proxy has ended; it is started again" });
    clock.now += 5_000;
    await says([port(9000)], {});
    assert.equal((await starts()).length, 2);
  });
});

Deno.test("engine proxy: what is missing is named", async () => {
  await withProgram('printf "1\\nprotocol not supported" >&3', async ({ says }) => {
    await says([port(9000)], {
      "sctp/9000": "the kernel has no SCTP (protocol not supported): modprobe sctp",
    });
  });
  await withProgram(LISTENS, async ({ folder, says }) => {
    await Deno.remove(`${folder}/docker-proxy`);
    await says([port(9000)], {
      "sctp/9000":
        `the engine's program docker-proxy is not installed (looked for in /nonexistent, ${folder})`,
    });
  });
  await withProgram("echo no such option >&2; exit 2", async ({ says }) => {
    await says([port(9000)], { "sctp/9000": "no such option" });
  });
});

Deno.test("engine proxy: there is an end to the number of processes", async () => {
  // None is ever started: the program is not there.
  await withProgram(LISTENS, async ({ folder, proxy }) => {
    await Deno.remove(`${folder}/docker-proxy`);
    const problems = proxy.serve(Array.from({ length: 258 }, (_, i) => port(9000 + i)));
    assert.deepEqual(
      [...problems],
      [9256, 9257].map((published) => [
        `sctp/${published}`,
        "the agent has 256 processes of docker-proxy already",
      ]),
    );
  });
});
