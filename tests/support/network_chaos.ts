import { randomInt, SeededRandom } from "../../src/base/random.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "../lab/support/network_image.ts";
import { FleetLab } from "./fleet_lab.ts";
import { networkDifferences } from "./network_oracle.ts";
import { until } from "./until.ts";

const HOSTS = ["h1", "h2", "h3"];
const NETWORKS = ["blue", "green", "red"];
const MAX_SERVICES = 6;
const MAX_REPLICAS = 4;
/** The state is compared after so many steps, when everything is whole again and had time to settle. */
const STEPS_BETWEEN_CHECKS = 8;
const SETTLE_MS = 120_000;
/** A command is tried so often and so long while its manager comes back. */
const RETRY_MS = 100;
const COMMAND_MS = 60_000;

/**
 * Random changes of services, networks and nodes, and faults of nodes. Again and again everything is left to
 * settle and compared, from outside, with what it should be.
 * @returns how often it was compared
 */
export async function networkChaos(
  name: string,
  options: {
    readonly seed: number;
    readonly steps: number;
    readonly log: (line: string) => void;
  },
): Promise<{ checks: number }> {
  const lab = await FleetLab.up(name, HOSTS.length);
  try {
    await lab.form();
    await loadNetworkImage(lab.lab.hosts);
    const chaos = new Chaos(lab, new SeededRandom(options.seed));
    let checks = 0;
    for (let step = 1; step <= options.steps; step++) {
      options.log(`${step}: ${await chaos.step()}`);
      if (step % STEPS_BETWEEN_CHECKS !== 0 && step < options.steps) continue;
      await chaos.heal();
      const started = performance.now();
      await settled(lab);
      checks++;
      options.log(`as it should be after ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
    return { checks };
  } catch (error) {
    for (const host of lab.lab.hosts) {
      console.log(`--- ${host.name}: end of the agent's log`);
      console.log((await host.log("agent")).split("\n").slice(-30).join("\n"));
    }
    throw error;
  } finally {
    if (Deno.env.get("KEEP")) console.log("kept");
    else await lab.down();
  }
}

async function settled(lab: FleetLab): Promise<void> {
  let wrong: readonly string[] = [];
  const look = async () => {
    try {
      wrong = [...await unfinished(lab), ...await networkDifferences(lab, HOSTS)];
    } catch (error) {
      // A container that was listed is gone when it is inspected: it has not settled.
      wrong = [String(error)];
    }
    return wrong.length === 0;
  };
  try {
    await until("the networks as they should be", look, SETTLE_MS, 250);
  } catch (error) {
    throw new Error(`${error}\n${wrong.slice(0, 20).join("\n")}`);
  }
}

/** Services that do not run as many tasks as they should. */
async function unfinished(lab: FleetLab): Promise<string[]> {
  const said = await lab.fleet("h1", "service", "ls", "--format", "{{.Name}} {{.Replicas}}");
  return said.split("\n").filter((line) => {
    const [, running, wanted] = /(\d+)\/(\d+)/.exec(line) ?? [];
    return running !== wanted;
  });
}

class Chaos {
  readonly #lab: FleetLab;
  readonly #random: SeededRandom;
  readonly #services = new Map<string, { networks: readonly string[]; port?: number }>();
  readonly #networks = new Set<string>();
  readonly #heal = new Map<string, () => Promise<unknown>>();
  #count = 0;

  constructor(lab: FleetLab, random: SeededRandom) {
    this.#lab = lab;
    this.#random = random;
  }

  /** Does one thing; says what. */
  async step(): Promise<string> {
    for (;;) {
      const steps = [
        ...Array(4).fill(() => this.#createService()),
        ...Array(3).fill(() => this.#scale()),
        ...[() => this.#removeService(), () => this.#renew(), () => this.#createNetwork()],
        ...[() => this.#removeNetwork(), () => this.#drain(), () => this.#killContainer()],
        ...[() => this.#guest(), () => this.#killAgent(), () => this.#cut()],
      ] as (() => Promise<string | undefined>)[];
      const said = await steps[this.#pick(steps.length)]!();
      if (said !== undefined) return said;
    }
  }

  async heal(): Promise<void> {
    for (const [what, undo] of this.#heal) {
      this.#heal.delete(what);
      await undo();
    }
    await until("all nodes ready", async () => {
      const { stdout } = await this.#lab.try("h1", "node", "ls", "--format", "{{.Status}}");
      return stdout.trim() === HOSTS.map(() => "Ready").join("\n");
    }, SETTLE_MS);
  }

  #pick(below: number): number {
    return randomInt(this.#random, below);
  }

  #one<T>(list: Iterable<T>): T | undefined {
    const all = [...list];
    return all.length === 0 ? undefined : all[this.#pick(all.length)];
  }

  /** A command that must work, once its manager answers. */
  async #docker(...args: string[]): Promise<string> {
    const passing = /not running|connect|no leader|leader|out of sequence|unavailable/i;
    return await this.#tryOften(args, passing, COMMAND_MS);
  }

  /** Tries until it works, as long as what is in the way may pass. */
  async #tryOften(args: readonly string[], passing: RegExp, timeoutMs: number): Promise<string> {
    let output = "";
    let reason = "";
    const attempt = async () => {
      const { code, stdout, stderr } = await this.#lab.tryDocker("h1", args);
      [output, reason] = [stdout, stderr];
      if (code !== 0 && !passing.test(stderr)) {
        throw new Error(`docker ${args.join(" ")}: ${stderr}`);
      }
      return code === 0;
    };
    await until(`docker ${args.join(" ")}`, attempt, timeoutMs, RETRY_MS)
      .catch((error) => Promise.reject(new Error(`${error}: ${reason}`)));
    return output;
  }

  async #createNetwork(): Promise<string | undefined> {
    const name = NETWORKS.find((candidate) => !this.#networks.has(candidate));
    if (name === undefined) return undefined;
    await this.#docker("network", "create", "-d", "overlay", "--attachable", name);
    this.#networks.add(name);
    return `create network ${name}`;
  }

  async #removeNetwork(): Promise<string | undefined> {
    const used = new Set([...this.#services.values()].flatMap(({ networks }) => networks));
    const name = this.#one([...this.#networks].filter((candidate) => !used.has(candidate)));
    if (name === undefined) return undefined;
    this.#networks.delete(name);
    // Tasks of a service that was removed may still be ending on it, also on a node that is away.
    const passing = /in use|connect|leader/i;
    const remove = () => this.#tryOften(["network", "rm", name], passing, COMMAND_MS);
    await remove().catch(async () => {
      await this.heal();
      await remove();
    });
    return `remove network ${name}`;
  }

  async #createService(): Promise<string | undefined> {
    if (this.#services.size >= MAX_SERVICES || this.#networks.size === 0) return undefined;
    const name = `s${++this.#count}`;
    const first = this.#one(this.#networks)!;
    const second = this.#pick(3) === 0 ? this.#one(this.#networks)! : first;
    const networks = [...new Set([first, second])];
    const port = this.#pick(3) === 0 ? 8000 + this.#count : undefined;
    const replicas = 1 + this.#pick(MAX_REPLICAS);
    const plain = port === undefined && this.#pick(4) === 0;
    await this.#docker(
      ...["service", "create", "--detach", "--no-resolve-image", "--name", name],
      ...["--replicas", `${replicas}`, "--stop-grace-period", "1s"],
      ...networks.flatMap((network) => ["--network", network]),
      ...(port === undefined ? [] : ["--publish", `${port}:80`]),
      ...(plain ? ["--endpoint-mode", "dnsrr"] : []),
      ...[NETWORK_IMAGE, "sleep", "100000"],
    );
    this.#services.set(name, { networks, ...(port === undefined ? {} : { port }) });
    return `create ${name} with ${replicas} on ${networks.join("+")}${port ? ` at ${port}` : ""}`;
  }

  async #removeService(): Promise<string | undefined> {
    const name = this.#one(this.#services.keys());
    if (name === undefined) return undefined;
    await this.#docker("service", "rm", name);
    this.#services.delete(name);
    return `remove ${name}`;
  }

  async #scale(): Promise<string | undefined> {
    const name = this.#one(this.#services.keys());
    if (name === undefined) return undefined;
    const replicas = this.#pick(MAX_REPLICAS + 1);
    await this.#docker("service", "scale", "--detach", `${name}=${replicas}`);
    return `scale ${name} to ${replicas}`;
  }

  async #renew(): Promise<string | undefined> {
    const name = this.#one(this.#services.keys());
    if (name === undefined) return undefined;
    const order = this.#pick(2) === 0 ? "start-first" : "stop-first";
    await this.#docker("service", "update", "--detach", "--force", "--update-order", order, name);
    return `renew ${name}, ${order}`;
  }

  async #drain(): Promise<string | undefined> {
    const host = this.#one(HOSTS)!;
    if (this.#heal.has(`drain ${host}`)) {
      await this.#heal.get(`drain ${host}`)!();
      this.#heal.delete(`drain ${host}`);
      return `${host} active again`;
    }
    await this.#docker("node", "update", "--availability", "drain", host);
    this.#heal.set(
      `drain ${host}`,
      () => this.#docker("node", "update", "--availability", "active", host),
    );
    return `drain ${host}`;
  }

  async #killContainer(): Promise<string | undefined> {
    const host = this.#one(HOSTS)!;
    const ids = (await this.#lab.host(host).docker(["ps", "-q"])).stdout.split("\n");
    const id = this.#one(ids.filter(Boolean));
    if (id === undefined) return undefined;
    await this.#lab.host(host).docker(["kill", id]);
    return `kill a container on ${host}`;
  }

  /** A container outside services joins and leaves. */
  async #guest(): Promise<string | undefined> {
    const network = this.#one(this.#networks);
    if (network === undefined || this.#heal.size > 0) return undefined;
    await this.#docker("run", "--rm", "--network", network, NETWORK_IMAGE, "true");
    return `run a guest on ${network}`;
  }

  async #killAgent(): Promise<string | undefined> {
    const host = this.#one(HOSTS)!;
    if (this.#heal.has(`agent ${host}`)) return undefined;
    await this.#lab.host(host).stop("agent", "SIGKILL");
    const start = () => this.#lab.host(host).startAgent();
    if (host === "h1") await start();
    else this.#heal.set(`agent ${host}`, start);
    return `kill the agent of ${host}`;
  }

  async #cut(): Promise<string | undefined> {
    // The manager stays, so that there is somebody to talk to.
    const host = this.#one(HOSTS.slice(1))!;
    if (this.#heal.has(`cut ${host}`)) {
      await this.#lab.host(host).link("up");
      this.#heal.delete(`cut ${host}`);
      return `${host} on the network again`;
    }
    await this.#lab.host(host).link("down");
    this.#heal.set(`cut ${host}`, () => this.#lab.host(host).link("up"));
    return `cut ${host} off`;
  }
}
