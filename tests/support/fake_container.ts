/** The body of a container's creation, as far as the fake reads it. */
export interface CreateBody {
  readonly Image?: string;
  readonly Labels?: Record<string, string>;
  readonly Entrypoint?: string[];
  readonly Cmd?: string[];
  readonly Healthcheck?: { Test?: string[] };
  readonly NetworkingConfig?: { EndpointsConfig?: Record<string, unknown> };
  readonly HostConfig?: {
    PortBindings?: Record<string, { HostPort: string }[]>;
    [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** What a command does, for the few commands that tests use. */
interface Program {
  /** Ends at once with this code; else runs on. */
  readonly exits?: number;
  /** Its code when it is asked to end; 137 when it does not listen and is killed. */
  readonly onStop: number;
}

function programOf(argv: readonly string[]): Program {
  const script = argv.at(-1) ?? "";
  const exits = /^exit (\d+)$/.exec(script)?.[1];
  if (exits !== undefined) return { exits: Number(exits), onStop: 137 };
  const trap = /^trap 'exit (\d+)' TERM/.exec(script)?.[1];
  return { onStop: trap === undefined ? 137 : Number(trap) };
}

/** One container: its states and what ends it. */
export class FakeContainer {
  status: "created" | "running" | "exited" | "dead" = "created";
  exitCode = 0;
  oomKilled = false;
  error = "";
  startedAt = "0001-01-01T00:00:00Z";
  starts = 0;
  health: { Status: string; Log: { Output: string }[] } | undefined;
  /** Endpoint settings by network. */
  readonly networks: Record<string, unknown>;
  readonly ports: Record<string, { HostIp: string; HostPort: string }[]> = {};

  constructor(
    readonly id: string,
    readonly name: string,
    readonly body: CreateBody,
    private readonly emit: (action: string) => void,
  ) {
    this.networks = { ...body.NetworkingConfig?.EndpointsConfig };
  }

  get running(): boolean {
    return this.status === "running";
  }

  get #program(): Program {
    return programOf([...this.body.Entrypoint ?? [], ...this.body.Cmd ?? []]);
  }

  start(now: string, nextPort: () => number): void {
    this.status = "running";
    this.startedAt = now;
    this.starts++;
    for (const [key, bindings] of Object.entries(this.body.HostConfig?.PortBindings ?? {})) {
      this.ports[key] = bindings.map(({ HostPort }) => ({
        HostIp: "0.0.0.0",
        HostPort: HostPort || String(nextPort()),
      }));
    }
    const test = this.body.Healthcheck?.Test ?? [];
    if (test.length > 0 && test[0] !== "NONE") this.health = { Status: "starting", Log: [] };
    this.emit("start");
    const { exits } = this.#program;
    if (exits !== undefined) this.exit(exits);
    else if (this.health) this.check(test.at(-1) === "true" || test.at(-1) === "exit 0");
  }

  /** A health check's verdict. */
  check(healthy: boolean, output = ""): void {
    const next = healthy ? "healthy" : "unhealthy";
    this.health = { Status: next, Log: [{ Output: output }] };
    this.emit(`health_status: ${next}`);
  }

  exit(code: number): void {
    if (!this.running) return;
    this.status = "exited";
    this.exitCode = code;
    this.emit("die");
  }

  stop(): void {
    this.exit(this.#program.onStop);
  }

  inspect(): unknown {
    return {
      Id: this.id,
      Name: `/${this.name}`,
      Config: { ...this.body, HostConfig: undefined, Labels: this.body.Labels ?? {} },
      HostConfig: this.body.HostConfig ?? {},
      State: {
        Status: this.status,
        Running: this.running,
        Restarting: false,
        Pid: this.running ? 4242 : 0,
        ExitCode: this.exitCode,
        OOMKilled: this.oomKilled,
        Error: this.error,
        StartedAt: this.startedAt,
        ...(this.health ? { Health: this.health } : {}),
      },
      NetworkSettings: { Ports: this.ports, Networks: this.networks },
    };
  }
}
