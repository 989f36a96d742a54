import type { HistoryEvent } from "../sim/linearizability.ts";
import type { Operation, Output } from "../sim/machine.ts";
import type { FleetLab } from "./fleet_lab.ts";

const KEYS = 3;
/** One operation in so many is a deletion. */
const DELETE_EVERY = 10;
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
 * Clients of the HTTP API that create, read, update and delete configs through changing managers and write down
 * what they saw, for a checker that knows nothing of fleet. To it a config is a register with the label's value,
 * empty where there is none: to create is to set from empty, to update is to compare and set.
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

  static start(lab: FleetLab, hosts: readonly string[], count: number): ApiClients {
    const clients = new ApiClients(lab, hosts);
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
      const value = `${client}.${n}`;
      if (n % 3 === 0) await this.#read(client, host, key);
      else if (n % DELETE_EVERY === 1) await this.#delete(client, host, key);
      else await this.#change(client, host, key, value);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #read(client: number, host: string, key: string): Promise<void> {
    await this.#record(client, { kind: "read", key }, async () => {
      const config = await this.#get(host, key);
      if (config === "none") return { output: "" };
      return config === undefined ? "refused" : { output: config.Spec.Labels["v"] ?? "" };
    });
  }

  async #create(client: number, host: string, key: string, value: string): Promise<void> {
    await this.#record(client, { kind: "cas", key, from: "", value }, async () => {
      const spec = { Name: key, Labels: { v: value }, Data: "eA==" };
      const answer = await this.#request(host, "POST", "/configs/create", spec);
      if (answer.status === 201) return { output: true };
      return answer.status === 409 ? { output: false } : "unknown";
    });
  }

  async #delete(client: number, host: string, key: string): Promise<void> {
    await this.#record(client, { kind: "delete", key }, async () => {
      const answer = await this.#request(host, "DELETE", `/configs/${key}`);
      if (answer.status === 204) return { output: true };
      // It looks for the name first: another one of that name may have come since.
      return answer.status === 404 ? "refused" : "unknown";
    });
  }

  /** Reads, then sets from the value seen to a new one, guarded by the object's version; or creates. */
  async #change(client: number, host: string, key: string, value: string): Promise<void> {
    const seen = await this.#get(host, key).catch(() => undefined);
    if (seen === "none") return await this.#create(client, host, key, value);
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
      if (/out of sequence/.test(answer.text) || answer.status === 404) return "refused";
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

  async #get(host: string, key: string): Promise<Config | "none" | undefined> {
    const answer = await this.#request(host, "GET", `/configs/${key}`);
    if (answer.status === 404 && /not found"/.test(answer.text)) return "none";
    // An answer without a quorum says itself that it may be old, also one that nothing is there.
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
