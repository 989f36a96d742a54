import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import type { Output } from "../../src/adapters/lab_hosts/process.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { fromRoot } from "../../scripts/run.ts";
import { until } from "./until.ts";

/** The compiled executable; tests on real engines use nothing else. */
export const BINARY = fromRoot("dist/fleet");

/** No command takes so long, on a machine that is busy with other tests either. */
const COMMAND_MS = 300_000;

export interface TaskRow {
  readonly ID: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Err?: string;
    readonly Message?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string };
  };
}

/** A lab with agents, driven as a person would: by commands. */
export class FleetLab {
  readonly lab: Lab;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async up(
    name: string,
    hosts: number,
    options: { agentArgs?: string[]; engineSettings?: Record<string, unknown> } = {},
  ): Promise<FleetLab> {
    await Lab.remove(name);
    return new FleetLab(await Lab.up({ name, hosts, binary: [BINARY], ...options }));
  }

  host(name: string): LabHost {
    return this.lab.host(name);
  }

  /** `fleet …` against a host's agent; never throws. */
  async try(host: string, ...args: string[]): Promise<Output> {
    return await capture([BINARY, ...args], { env: this.host(host).env(), timeoutMs: COMMAND_MS });
  }

  /** `fleet …` that must succeed; its output. */
  async fleet(host: string, ...args: string[]): Promise<string> {
    return expectSuccess(`fleet ${args.join(" ")}`, await this.try(host, ...args));
  }

  /** The stock client against a host's agent; never throws. */
  async tryDocker(host: string, args: readonly string[], stdin?: string): Promise<Output> {
    return await capture(["docker", ...args], {
      env: this.host(host).env(),
      timeoutMs: COMMAND_MS,
      ...(stdin === undefined ? {} : { stdin }),
    });
  }

  async docker(host: string, ...args: string[]): Promise<string> {
    return expectSuccess(`docker ${args.join(" ")}`, await this.tryDocker(host, args));
  }

  /** A cluster: the first host initialises, the others join as workers (or managers). */
  async form(options: { managers?: number } = {}): Promise<void> {
    const [first, ...others] = this.lab.hosts;
    await this.fleet(first!.name, "init", "--advertise-addr", first!.address);
    for (const [i, host] of others.entries()) {
      const role = i + 1 < (options.managers ?? 1) ? "manager" : "worker";
      const token = (await this.fleet(first!.name, "join-token", "-q", role)).trim();
      await this.fleet(host.name, "join", "--token", token, `${first!.address}:2377`);
    }
    await until("all nodes ready", async () => {
      const states = (await this.fleet(first!.name, "node", "ls", "--format", "{{.Status}}"))
        .trim();
      return states === this.lab.hosts.map(() => "Ready").join("\n");
    });
  }

  /** GET on a host's agent, as JSON. */
  async get<T>(host: string, path: string): Promise<T> {
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: this.host(host).layout.fleetSocket },
    });
    try {
      const init: RequestInit & { client: Deno.HttpClient } = { client };
      const response = await fetch(`http://fleet${path}`, init);
      if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
      return await response.json() as T;
    } finally {
      client.close();
    }
  }

  /** POST on a host's agent, as JSON. */
  async post<T>(
    host: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: this.host(host).layout.fleetSocket },
    });
    try {
      const init: RequestInit & { client: Deno.HttpClient } = {
        client,
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      };
      const response = await fetch(`http://fleet${path}`, init);
      const text = await response.text();
      if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text}`);
      return (text === "" ? {} : JSON.parse(text)) as T;
    } finally {
      client.close();
    }
  }

  async tasks(service: string, host = "h1"): Promise<TaskRow[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
    return await this.get<TaskRow[]>(host, `/v1.41/tasks?filters=${filters}`);
  }

  async running(service: string, host = "h1"): Promise<TaskRow[]> {
    return (await this.tasks(service, host)).filter((task) =>
      task.Status.State === "running" && task.DesiredState === "running"
    );
  }

  /** Containers of the service that really run, over all engines. */
  async containers(service: string): Promise<{ host: string; id: string; task: string }[]> {
    const found: { host: string; id: string; task: string }[] = [];
    for (const host of this.lab.hosts) {
      const { code, stdout } = await host.docker([
        "ps",
        "--no-trunc",
        "--filter",
        `label=com.docker.swarm.service.name=${service}`,
        "--format",
        '{{.ID}} {{.Label "com.docker.swarm.task.id"}}',
      ]);
      if (code !== 0) continue;
      for (const line of stdout.trim().split("\n").filter(Boolean)) {
        const [id, task] = line.split(" ");
        found.push({ host: host.name, id: id!, task: task! });
      }
    }
    return found;
  }

  /**
   * Waits until exactly `replicas` tasks run, each with its container, and no other container of the
   * service does.
   */
  async converged(
    service: string,
    replicas: number,
    timeoutMs = 120_000,
    host = "h1",
  ): Promise<void> {
    let last = "";
    try {
      await until(
        `${service} at ${replicas}`,
        async () => {
          const tasks = await this.running(service, host);
          const containers = await this.containers(service);
          last = `${tasks.length} tasks, ${containers.length} containers`;
          return tasks.length === replicas &&
            containers.map(({ task }) => task).sort().join() ===
              tasks.map(({ ID }) => ID).sort().join();
        },
        timeoutMs,
        100,
      );
    } catch (error) {
      const table = (await this.try(host, "service", "ps", "--no-trunc", service)).stdout;
      throw new Error(
        `${error instanceof Error ? error.message : error} (last: ${last})\n${table}`,
      );
    }
  }

  async down(): Promise<void> {
    await this.lab.down();
  }
}

function expectSuccess(what: string, { code, stdout, stderr }: Output): string {
  if (code !== 0) throw new Error(`${what}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** Runs `body` with a lab that is gone afterwards, whatever happens; prints the agents' logs on failure. */
export async function withFleetLab(
  name: string,
  hosts: number,
  body: (lab: FleetLab) => Promise<void>,
  options: Parameters<typeof FleetLab.up>[2] = {},
): Promise<void> {
  const lab = await FleetLab.up(name, hosts, options);
  try {
    await body(lab);
  } catch (error) {
    for (const host of lab.lab.hosts) {
      console.log(`--- ${host.name}: end of the agent's log`);
      console.log((await host.log("agent")).split("\n").slice(-40).join("\n"));
    }
    throw error;
  } finally {
    await keepLogs(lab);
    await lab.down();
  }
}

/** Copies the agents' logs to the folder FLEET_LOGS, when it is set, before the lab takes them along. */
async function keepLogs(lab: FleetLab): Promise<void> {
  const folder = Deno.env.get("FLEET_LOGS");
  if (!folder) return;
  await Deno.mkdir(folder, { recursive: true });
  for (const host of lab.lab.hosts) {
    await Deno.writeTextFile(`${folder}/${lab.lab.name}-${host.name}.log`, await host.log("agent"));
  }
}
