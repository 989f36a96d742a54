/**
 * The main job on three real Docker hosts, every step checked:
 *
 *     deno task demo [--keep]
 */
import assert from "node:assert/strict";
import { until } from "../src/adapters/lab_hosts/process.ts";
import { BINARY, FleetLab } from "../tests/support/fleet_lab.ts";
import { compile } from "./compile.ts";
import { setup } from "./setup.ts";

const NAME = "demo";
const SERVICE = "web";

const started = performance.now();
let steps = 0;

/** Announces a step as the command a person would type, runs it, says that it was checked. */
async function step(command: string, run: () => Promise<string | void>): Promise<void> {
  const at = performance.now();
  console.log(`\n$ ${command}`);
  const output = await run();
  if (output) console.log(output.trimEnd());
  console.log(`  checked (${((performance.now() - at) / 1000).toFixed(1)} s)`);
  steps++;
}

await setup();
await compile();
console.log(
  (await new Deno.Command(BINARY, { args: ["--version"] }).output().then((o) =>
    new TextDecoder().decode(o.stdout)
  )).trim(),
);

const keep = Deno.args.includes("--keep");
const lab = await FleetLab.up(NAME, 3);
const [h1] = lab.lab.hosts;
try {
  await step(`fleet init --advertise-addr ${h1!.address}`, async () => {
    const output = await lab.fleet("h1", "init", "--advertise-addr", h1!.address);
    assert.match(output, /join --token SWMTKN-1-/);
    return output;
  });
  for (const name of ["h2", "h3"]) {
    await step(`fleet join --token … ${h1!.address}:2377    # on ${name}`, async () => {
      const token = (await lab.fleet("h1", "join-token", "-q", "worker")).trim();
      return await lab.fleet(name, "join", "--token", token, `${h1!.address}:2377`);
    });
  }
  await step("fleet node ls", async () => {
    let output = "";
    // A node that has just joined is ready when its first session has begun, a moment later.
    await until("three nodes are ready", async () => {
      output = await lab.fleet("h1", "node", "ls");
      return ["h1", "h2", "h3"].every((name) => new RegExp(`${name} +Ready +Active`).test(output));
    });
    assert.match(output, /Leader/);
    return output;
  });
  await step(
    `fleet service create --name ${SERVICE} --replicas 3 busybox:latest sleep 100000`,
    async () => {
      const output = await lab.fleet(
        "h1",
        "service",
        "create",
        "--name",
        SERVICE,
        "--replicas",
        "3",
        "busybox:latest",
        "sleep",
        "100000",
      );
      await lab.converged(SERVICE, 3);
      return output;
    },
  );
  await step(`fleet service ps ${SERVICE}`, async () => {
    const output = await lab.fleet("h1", "service", "ps", SERVICE);
    assert.equal(output.match(/Running/g)?.length, 6);
    const spread = new Set((await lab.containers(SERVICE)).map(({ host }) => host));
    assert.equal(spread.size, 3, "one replica on each host");
    return output;
  });
  await step(`docker service ls    # the stock client on fleet's socket`, async () => {
    const output = await lab.docker("h1", "service", "ls");
    assert.match(output, /web +replicated +3\/3 +busybox:latest/);
    return output;
  });
  await step("docker rm -f <a task's container>    # behind fleet's back", async () => {
    const victim = (await lab.containers(SERVICE)).find(({ host }) => host === "h2")!;
    assert.equal((await lab.host("h2").docker(["rm", "-f", victim.id])).code, 0);
    await lab.converged(SERVICE, 3);
    assert.ok(!(await lab.containers(SERVICE)).some(({ id }) => id === victim.id));
    return await lab.fleet("h1", "service", "ps", SERVICE);
  });
  await step(`fleet service scale ${SERVICE}=6`, async () => {
    const output = await lab.fleet("h1", "service", "scale", `${SERVICE}=6`);
    await lab.converged(SERVICE, 6);
    return output;
  });
  await step("kill -9 the agent and the engine of h3", async () => {
    lab.host("h3").signal("agent", "SIGKILL");
    await lab.host("h3").killEngine();
    await lab.converged(SERVICE, 6, 60_000);
    assert.ok((await lab.containers(SERVICE)).every(({ host }) => host !== "h3"));
    const output = await lab.fleet("h1", "node", "ls");
    assert.match(output, /h3 +Down/);
    return output;
  });
  await step(`fleet service rm ${SERVICE}`, async () => {
    const output = await lab.fleet("h1", "service", "rm", SERVICE);
    // The service is unknown from now on; its containers are given their time to end.
    const gone = async () => (await lab.containers(SERVICE)).length === 0;
    await until(`the containers of ${SERVICE} are gone`, gone, 60_000);
    return output;
  });
} finally {
  if (keep) {
    console.log(
      `\nThe lab stays: fleet lab status --name ${NAME}; fleet lab down --name ${NAME} removes it.`,
    );
  } else await lab.down();
}
console.log(
  `\nThe main job works: ${steps} steps in ${((performance.now() - started) / 1000).toFixed(1)} s.`,
);
