import assert from "node:assert/strict";
import type { FleetLab } from "./fleet_lab.ts";
import { until } from "./until.ts";

const HOSTS = ["h1", "h2", "h3"];
const ORDERS = ["stop-first", "start-first"] as const;
const ACTIONS = ["pause", "continue", "rollback"] as const;
const REPLICAS = 2;
const COMPLETIONS = 4;
const SETTLE_MS = 120_000;

/** Events played so far. */
let rounds = 0;

/** What happens in the middle of the updates; resolves to how it is undone. */
type Event = (lab: FleetLab) => Promise<() => Promise<unknown>>;

export const EVENTS: Readonly<Record<string, Event>> = {
  "leader killed": async (lab) => {
    const leader = await leaderOf(lab);
    await lab.host(leader).stop("agent", "SIGKILL");
    return () => lab.host(leader).startAgent();
  },
  "engine restarted": async (lab) => {
    await lab.host("h2").killEngine();
    return () => lab.host("h2").startEngine();
  },
  "node killed": async (lab) => {
    const victim = HOSTS.find((host) => host !== "h1")!;
    await lab.host(victim).stop("agent", "SIGKILL");
    await lab.host(victim).killEngine();
    return async () => {
      await lab.host(victim).startEngine();
      await lab.host(victim).startAgent();
    };
  },
};

interface Service {
  readonly name: string;
  readonly global: boolean;
  readonly order: typeof ORDERS[number];
  readonly action: typeof ACTIONS[number];
}

const SERVICES: readonly Service[] = [false, true].flatMap((global) =>
  ORDERS.flatMap((order) =>
    ACTIONS.map((action) => ({
      name: `${global ? "g" : "r"}-${order}-${action}`,
      global,
      order,
      action,
    }))
  )
);

interface ApiService {
  readonly UpdateStatus?: { readonly State?: string; readonly Message?: string };
  readonly Spec: {
    readonly TaskTemplate: { readonly ContainerSpec: { readonly Args?: string[] } };
  };
}

/** All services of the matrix, running. */
export async function createMatrix(lab: FleetLab): Promise<void> {
  await all(SERVICES, async ({ name, global, order, action }) => {
    const flags = ["-d", "-q", "--no-resolve-image", "--stop-grace-period", "0s"];
    const update = ["--update-order", order, "--update-failure-action", action];
    const pace = ["--update-monitor", "2s", "--rollback-monitor", "2s", "--restart-delay", "1s"];
    const mode = global ? ["--mode", "global"] : ["--replicas", String(REPLICAS)];
    const what = ["--name", name, "busybox:latest", "sleep", "100000"];
    await lab.fleet("h1", "service", "create", ...flags, ...update, ...pace, ...mode, ...what);
  });
  await allRunning(lab);
}

/**
 * Updates every service to a program that fails at once, starts a job of each kind, lets `event` happen in
 * the middle, and waits until each service is what its order and failure action say, and the jobs are done.
 * Then gives every service a program that works, and waits until that runs everywhere.
 */
export async function playEvent(lab: FleetLab, event: string): Promise<void> {
  const work = ["busybox:latest", "sleep", "2"];
  const job = ["service", "create", "-d", "-q", "--no-resolve-image", "--restart-delay", "1s"];
  const counts = ["--replicas", String(COMPLETIONS), "--max-concurrent", "2"];
  await all(SERVICES, ({ name }) => update(lab, name, "false"));
  await lab.fleet("h1", ...job, "--mode", "replicated-job", ...counts, "--name", "job-r", ...work);
  await lab.fleet("h1", ...job, "--mode", "global-job", "--name", "job-g", ...work);
  const undo = await EVENTS[event]!(lab);
  const survivor = await leaderOf(lab);
  await undo();
  await all(SERVICES, (service) => failedAsTold(lab, service, survivor, event));
  await jobsDone(lab, survivor);
  await all(["job-r", "job-g"], (name) => lab.fleet(survivor, "service", "rm", name));
  // Each time another one: an update that changes nothing has no status.
  const program = `sleep ${100_000 + ++rounds}`;
  await all(SERVICES, ({ name }) => update(lab, name, program, survivor));
  await allRunning(lab, survivor);
  for (const { name } of SERVICES) {
    await state(lab, name, ["completed"], survivor);
  }
}

async function update(lab: FleetLab, name: string, args: string, host = "h1"): Promise<void> {
  const { code, stderr } = await lab.try(
    host,
    "service",
    "update",
    "-d",
    "-q",
    "--args",
    args,
    name,
  );
  assert.equal(code, 0, `${name}: ${stderr}`);
}

/** The state that a service's update ends in, and what runs then. */
async function failedAsTold(
  lab: FleetLab,
  service: Service,
  host: string,
  event: string,
): Promise<void> {
  const { name, action, order, global } = service;
  const wanted = { pause: "paused", continue: "completed", rollback: "rollback_completed" }[action];
  const { Spec } = await state(lab, name, [wanted], host);
  const args = Spec.TaskTemplate.ContainerSpec.Args?.join(" ") ?? "";
  assert.equal(args.startsWith("sleep"), action === "rollback", `${name} wants ${args}`);
  if (action === "rollback") {
    return await lab.converged(name, global ? 3 : REPLICAS, SETTLE_MS, host);
  }
  // Where no container died by the event, what the update did not reach when it paused still runs.
  if (action === "pause" && order === "start-first" && event === "leader killed") {
    const running = (await lab.running(name, host)).length;
    if (running >= 1) return;
    const table = await lab.fleet(host, "service", "ps", "--no-trunc", name);
    assert.fail(`${name}: nothing runs while its update is paused\n${table}`);
  }
}

async function state(
  lab: FleetLab,
  name: string,
  wanted: readonly string[],
  host: string,
): Promise<ApiService> {
  let found: ApiService | undefined;
  await until(
    `${name} is ${wanted}`,
    async () => {
      found = await lab.get<ApiService>(host, `/v1.41/services/${name}`).catch(() => undefined);
      return wanted.includes(found?.UpdateStatus?.State ?? "");
    },
    SETTLE_MS,
    200,
  ).catch(() => {
    throw new Error(`${name} should be ${wanted}: ${JSON.stringify(found?.UpdateStatus)}`);
  });
  return found!;
}

async function jobsDone(lab: FleetLab, host: string): Promise<void> {
  for (const [name, completions] of [["job-r", COMPLETIONS], ["job-g", HOSTS.length]] as const) {
    let places = 0;
    await until(
      `${name} is done`,
      async () => {
        const done = (await lab.tasks(name, host)).filter(({ Status }) =>
          Status.State === "complete"
        );
        places = new Set(done.map(({ Slot, NodeID }) => Slot ?? NodeID)).size;
        return places === completions;
      },
      SETTLE_MS,
      200,
    ).catch(() => {
      throw new Error(`${name}: ${places} of ${completions} completions`);
    });
  }
}

async function allRunning(lab: FleetLab, host = "h1"): Promise<void> {
  for (const { name, global } of SERVICES) {
    await lab.converged(name, global ? HOSTS.length : REPLICAS, SETTLE_MS, host);
  }
}

/** A host that answers, preferably the one that leads. */
async function leaderOf(lab: FleetLab): Promise<string> {
  let found: string | undefined;
  await until("a leader", async () => {
    for (const host of HOSTS) {
      const args = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
      found = /^(\S+) Leader$/m.exec((await lab.try(host, ...args)).stdout)?.[1];
      if (found !== undefined && lab.host(found).pid("agent") !== undefined) return true;
    }
    return false;
  });
  return found!;
}

/** A few at a time: every command is a process. */
async function all<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await run(item);
  }));
}
