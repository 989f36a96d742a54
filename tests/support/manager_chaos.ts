import assert from "node:assert/strict";
import { randomInt, SeededRandom } from "../../src/base/random.ts";
import { checkHistory } from "../sim/linearizability.ts";
import { ApiClients } from "./api_clients.ts";
import { BINARY, FleetLab } from "./fleet_lab.ts";
import { until } from "./until.ts";

const HOSTS = ["h1", "h2", "h3", "h4", "h5"];
/** This one's data is on a disk that can be filled. */
const SMALL_DISK = "h5";
const SMALL_DISK_SIZE = "48m";
const CLIENTS = 16;
/** What must be accepted while faults are in force, before they are healed. */
const WRITES_PER_ROUND = 30;
const ROUND_TIMEOUT_MS = 120_000;

/** Certificates begin an hour back: beyond that a clock that goes wrong cuts its manager off, rightly. */
const MAX_JUMP_SECONDS = 3_000;

/** Something bad on one host; resolves to how it is undone. */
type Fault = (lab: FleetLab, host: string, random: SeededRandom) => Promise<() => Promise<unknown>>;

const drop = (...rule: string[]): Fault => async (lab, host) => {
  await lab.host(host).exec(["iptables", "-I", ...rule, "-j", "DROP"]);
  return () => lab.host(host).exec(["iptables", "-D", ...rule, "-j", "DROP"]);
};

export const FAULTS: Readonly<Record<string, Fault>> = {
  "kill -9": async (lab, host) => {
    await lab.host(host).stop("agent", "SIGKILL");
    return () => startAgent(lab, host);
  },
  "kill -9 and at once again": async (lab, host) => {
    await lab.host(host).stop("agent", "SIGKILL");
    await startAgent(lab, host);
    return () => Promise.resolve();
  },
  SIGSTOP: (lab, host) => {
    lab.host(host).signal("agent", "SIGSTOP");
    return Promise.resolve(() => Promise.resolve(lab.host(host).signal("agent", "SIGCONT")));
  },
  "link down": async (lab, host) => {
    await lab.host(host).link("down");
    return () => lab.host(host).link("up");
  },
  "hears nobody on its port": drop("INPUT", "-p", "tcp", "--dport", "2377"),
  "hears no answers": drop("INPUT", "-p", "tcp", "--sport", "2377"),
  "is not heard": drop("OUTPUT", "-p", "tcp", "--dport", "2377"),
  "answers are lost": drop("OUTPUT", "-p", "tcp", "--sport", "2377"),
  "full disk": async (lab, host) => {
    const file = `${lab.host(host).layout.dataDir}/filler`;
    await lab.host(host).exec(["dd", "if=/dev/zero", `of=${file}`, "bs=4096"]);
    return () => lab.host(host).exec(["rm", "-f", file]);
  },
  "clock jumps": async (lab, host, random) => {
    const seconds = randomInt(random, 2 * MAX_JUMP_SECONDS) - MAX_JUMP_SECONDS;
    await Deno.writeTextFile(clockFile(lab, host), `${seconds < 0 ? "" : "+"}${seconds}s`);
    return () => Promise.resolve();
  },
};

const clockFile = (lab: FleetLab, host: string) => `${lab.host(host).layout.folder}/clock`;

/** The wall clock of the agent is ours to move; the monotonic one goes on, as when somebody sets the time. */
async function startAgent(lab: FleetLab, host: string): Promise<void> {
  await lab.host(host).startAgent([BINARY], [], {
    LD_PRELOAD: "/usr/$LIB/faketime/libfaketimeMT.so.1",
    FAKETIME_TIMESTAMP_FILE: clockFile(lab, host),
    FAKETIME_CACHE_DURATION: "1",
    DONT_FAKE_MONOTONIC: "1",
  });
}

/**
 * Five managers under faults, at most two of them at a time, always the leader among them: writes go on, nothing
 * that was acknowledged is lost, the clients' history is linearizable, and all managers end with the same.
 */
export async function managerChaos(
  name: string,
  options: {
    readonly seed: number;
    readonly seconds: number;
    readonly log: (line: string) => void;
  },
): Promise<{ rounds: number; operations: number }> {
  const random = new SeededRandom(options.seed);
  const lab = await FleetLab.up(name, HOSTS.length);
  try {
    await form(lab);
    const clients = ApiClients.start(lab, HOSTS, CLIENTS);
    const end = performance.now() + options.seconds * 1000;
    let rounds = 0;
    try {
      const names = shuffled(Object.keys(FAULTS), random);
      for (; performance.now() < end || 2 * rounds < names.length; rounds++) {
        // Each fault comes once before chance decides.
        const [onLeader, onOther] = [2 * rounds, 2 * rounds + 1].map((i) =>
          names[i] ?? names[randomInt(random, names.length)]!
        ) as [string, string];
        const at = performance.now();
        await round(lab, clients, [onLeader, onOther], random);
        options.log(`${onLeader}, ${onOther}: ${((performance.now() - at) / 1000).toFixed(1)} s`);
      }
    } finally {
      await clients.stop();
    }
    const verdict = checkHistory(clients.history);
    assert.equal(verdict.kind, "linearizable", JSON.stringify(verdict).slice(0, 4_000));
    assert.ok(clients.acknowledged > rounds * WRITES_PER_ROUND);
    await sameEverywhere(lab);
    return { rounds, operations: clients.history.length };
  } catch (error) {
    for (const host of lab.lab.hosts) {
      console.log(`--- ${host.name}: end of the agent's log`);
      console.log((await host.log("agent")).split("\n").slice(-30).join("\n"));
    }
    throw error;
  } finally {
    await lab.down();
  }
}

async function form(lab: FleetLab): Promise<void> {
  for (const host of HOSTS) {
    await lab.host(host).stop("agent");
    // libfaketime keeps semaphores there, by process number, which hosts must not share.
    const script = "mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm";
    assert.equal((await lab.host(host).exec(["sh", "-c", script])).code, 0);
    await Deno.writeTextFile(clockFile(lab, host), "+0s");
    if (host === SMALL_DISK) {
      const { dataDir } = lab.host(host).layout;
      const mount = ["mount", "-t", "tmpfs", "-o", `size=${SMALL_DISK_SIZE},mode=0700`, "small"];
      assert.equal((await lab.host(host).exec([...mount, dataDir])).code, 0);
    }
    await startAgent(lab, host);
  }
  await lab.form({ managers: HOSTS.length });
  await allBack(lab);
}

async function allBack(lab: FleetLab): Promise<void> {
  await until("five managers", async () => {
    for (const host of HOSTS) {
      const { stdout } = await lab.try(host, "info");
      if (/5 managers, 5 reachable/.test(stdout)) return true;
    }
    return false;
  }, ROUND_TIMEOUT_MS);
}

async function leader(lab: FleetLab): Promise<string> {
  let found: string | undefined;
  await until("a leader", async () => {
    for (const host of HOSTS) {
      const args = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
      found = /^(\S+) Leader$/m.exec((await lab.try(host, ...args)).stdout)?.[1];
      if (found !== undefined) return true;
    }
    return false;
  }, ROUND_TIMEOUT_MS);
  return found!;
}

async function round(
  lab: FleetLab,
  clients: ApiClients,
  [onLeader, onOther]: readonly [string, string],
  random: SeededRandom,
): Promise<void> {
  const first = await leader(lab);
  const faults = victims(first, [onLeader, onOther], random);
  const heals: (() => Promise<unknown>)[] = [];
  const what = faults.map(([fault, host]) => `${fault} on ${host}`).join(", ");
  try {
    for (const [fault, host] of faults) heals.push(await FAULTS[fault]!(lab, host, random));
    const before = clients.acknowledged;
    await until(
      `writes go on with ${what}`,
      () => clients.acknowledged >= before + WRITES_PER_ROUND,
      ROUND_TIMEOUT_MS,
    );
  } finally {
    for (const heal of heals) await heal();
  }
  await allBack(lab).catch((error: unknown) => {
    throw new Error(`after ${what} (leader was ${first}): ${error}`);
  });
}

/**
 * Which fault comes to which host: two hosts, the leader among them (two faults on one would not be undone
 * independently), and a full disk where there is one that can be filled.
 */
function victims(
  leader: string,
  [onLeader, onOther]: readonly [string, string],
  random: SeededRandom,
): (readonly [fault: string, host: string])[] {
  const anyBut = (...hosts: string[]) => {
    const others = HOSTS.filter((host) => !hosts.includes(host));
    return others[randomInt(random, others.length)]!;
  };
  if (onLeader !== "full disk" && onOther !== "full disk") {
    return [[onLeader, leader], [onOther, anyBut(leader)]];
  }
  const fault = onLeader === "full disk" ? onOther : onLeader;
  // When chance draws it twice, the disk is full once.
  if (fault === "full disk") return [[fault, SMALL_DISK]];
  return [
    ["full disk", SMALL_DISK],
    [fault, leader === SMALL_DISK ? anyBut(SMALL_DISK) : leader],
  ];
}

function shuffled(names: readonly string[], random: SeededRandom): string[] {
  const left = [...names];
  return names.map(() => left.splice(randomInt(random, left.length), 1)[0]!);
}

/** Every manager's configs, versions included, are the same. */
async function sameEverywhere(lab: FleetLab): Promise<void> {
  // What a client gave up waiting for may still take effect.
  await until("all managers have the same", async () => {
    const views = await Promise.all(HOSTS.map(async (host) => {
      const configs = await lab.get<{ ID: string }[]>(host, "/configs");
      return JSON.stringify(configs.sort((a, b) => a.ID < b.ID ? -1 : 1));
    }));
    return new Set(views).size === 1;
  }, ROUND_TIMEOUT_MS);
}
