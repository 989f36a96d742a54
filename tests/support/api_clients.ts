import type { HistoryEvent } from "../sim/linearizability.ts";
import type { Operation, Output } from "../sim/machine.ts";
import type { FleetLab } from "./fleet_lab.ts";

const KEYS = 3;
/** Slower answers count as unknown; the history has to allow both outcomes. */
const TIMEOUT_MS = 3_000;
/** A pause between operations, so that two cores are left for the cluster. */
const PAUSE_MS = 20;

interface Config {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> };
}

/**
 * Clients of the HTTP API that read, write and compare-and-set labels of configs through changing
 * managers and write down what they saw, for a checker that knows nothing of fleet.
 */
export class ApiClients {
  readonly history: HistoryEvent[] = [];
  acknowledged = 0;
  #clock = 0;
  #stop = false;
  #runs: Promise<void>[] = [];
  readonly #lab: FleetLab;
  readonly #hosts: readonly string[];

  private constructor(lab: FleetLab, hosts: readonly string[]) {
    this.#lab = lab;
    this.#hosts = hosts;
  }

  static async start(lab: FleetLab, hosts: readonly string[], count: number): Promise<ApiClients> {
    const clients = new ApiClients(lab, hosts);
    for (let key = 0; key < KEYS; key++) {
      await clients.#request(hosts[0]!, "POST", "/configs/create", {
        Name: `key${key}`,
        Labels: { v: "" },
        Data: "eA==",
      });
    }
    clients.#runs = Array.from({ length: count }, (_, i) => clients.#run(i));
    return clients;
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#runs);
  }

  async #run(client: number): Promise<void> {
    for (let n = 0; !this.#stop; n++) {
      const host = this.#hosts[(client + n) % this.#hosts.length]!;
      const key = `key${(client * 7 + n) % KEYS}`;
      if (n % 3 === 0) await this.#read(client, host, key);
      else await this.#swap(client, host, key, `${client}.${n}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #read(client: number, host: string, key: string): Promise<void> {
    await this.#record(client, { kind: "read", key }, async () => {
      const config = await this.#get(host, key);
      return config === undefined ? "refused" : { output: config.Spec.Labels["v"] ?? "" };
    });
  }

  /** Reads, then sets from the value seen to a new one, guarded by the object's version. */
  async #swap(client: number, host: string, key: string, value: string): Promise<void> {
    const seen = await this.#get(host, key).catch(() => undefined);
    if (!seen) return;
    const expected = seen.Spec.Labels["v"] ?? "";
    await this.#record(client, { kind: "cas", key, from: expected, value }, async () => {
      const spec = { ...seen.Spec, Labels: { v: value } };
      const answer = await this.#request(
        host,
        "POST",
        `/configs/${seen.ID}/update?version=${seen.Version.Index}`,
        spec,
      );
      if (answer.status === 200) return { output: true };
      // Somebody was first: whether the value is the expected one again is not ours to know.
      if (/out of sequence/.test(answer.text)) return "refused";
      return "unknown";
    });
  }

  async #record(
    client: number,
    op: Operation,
    act: () => Promise<{ output: Output } | "refused" | "unknown">,
  ): Promise<void> {
    const call = this.#clock++;
    const result = await act().catch(() => "unknown" as const);
    const at = this.#clock++;
    if (result === "refused") return;
    if (result === "unknown") {
      if (op.kind !== "read") {
        this.history.push({ client, op, call, return: Infinity, output: undefined });
      }
      return;
    }
    this.acknowledged++;
    this.history.push({ client, op, call, return: at, output: result.output });
  }

  async #get(host: string, key: string): Promise<Config | undefined> {
    const answer = await this.#request(host, "GET", `/configs/${key}`);
    // An answer without a quorum says itself that it may be old.
    if (answer.status !== 200 || answer.stale) return undefined;
    return JSON.parse(answer.text) as Config;
  }

  async #request(
    host: string,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; text: string; stale: boolean }> {
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: this.#lab.host(host).layout.fleetSocket },
    });
    try {
      const response = await fetch(`http://fleet${path}`, {
        method,
        client,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      } as RequestInit);
      return {
        status: response.status,
        text: await response.text(),
        stale: response.headers.get("fleet-stale") === "true",
      };
    } finally {
      client.close();
    }
  }
}
