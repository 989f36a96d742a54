import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { Step } from "./case_file.ts";
import { jsonLines, outputLines } from "./normalise.ts";
import type { Local } from "./normalise.ts";
import { until } from "../support/until.ts";

export interface TargetOptions extends Local {
  readonly socket: string;
  /** Where shell steps run; files that a step makes are there for the next. */
  readonly folder: string;
}

const STEP_TIMEOUT_MS = 120_000;
/** Headers of an answer that scripts and clients look at. */
const HEADERS = ["content-type", "swarm", "api-version", "ostype"];

/** Docker Swarm or fleet, driven by its socket alone. */
export class Target {
  readonly #options: TargetOptions;
  readonly #client: Deno.HttpClient;

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: options.socket } });
  }

  close(): void {
    this.#client.close();
  }

  /** What a step prints, comparable. @throws Error when a preparation fails or nothing comes of a wait */
  async run({ kind, text }: Step): Promise<string[]> {
    const filled = await this.#fill(text);
    switch (kind) {
      case "prepare":
        await this.#prepare(filled);
        return [];
      case "wait":
        await this.#wait(filled);
        return [];
      case "shell":
        return (await this.#shell(filled)).lines;
      case "http":
        return await this.#http(filled);
    }
  }

  async #prepare(text: string): Promise<void> {
    const { code, lines } = await this.#shell(text);
    if (code !== 0) throw new Error(`@ ${text}: ${lines.join("; ")}`);
  }

  async #shell(script: string): Promise<{ code: number; lines: string[] }> {
    const { code, stdout, stderr } = await capture(["sh", "-c", script], {
      cwd: this.#options.folder,
      env: { DOCKER_HOST: `unix://${this.#options.socket}`, DOCKER_CONFIG: this.#options.folder },
      timeoutMs: STEP_TIMEOUT_MS,
    });
    const lines = [
      ...outputLines(stdout, this.#options),
      ...outputLines(stderr, this.#options).map((line) => `! ${line}`),
      ...(code === 0 ? [] : [`exit ${code}`]),
    ];
    return { code, lines };
  }

  async #http(text: string): Promise<string[]> {
    const [, method = "", target = "", headerText = "", body = ""] =
      /^(\S+) (\S+)((?: [A-Za-z-]+: [^;]*;)*)(?: ([\s\S]*))?$/.exec(text) ?? [];
    const headers = Object.fromEntries(
      [...headerText.matchAll(/ ([A-Za-z-]+): ([^;]*);/g)].map((
        [, name, value],
      ) => [name!, value!]),
    );
    const response = await this.#fetch(target, {
      method,
      headers: { ...(body === "" ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === "" ? {} : { body }),
    });
    const answer = await response.text();
    const lines = [String(response.status)];
    if (target.includes("_ping") || method === "HEAD") {
      for (const name of HEADERS) {
        const value = response.headers.get(name);
        if (value !== null) lines.push(`${name}: ${value}`);
      }
    }
    return [...lines, ...this.#bodyLines(answer)];
  }

  /** JSON by fields; a stream of JSON lines one by one; anything else as text. */
  #bodyLines(text: string): string[] {
    if (text.trim() === "") return [];
    try {
      return jsonLines(JSON.parse(text), this.#options);
    } catch {
      return outputLines(text, this.#options);
    }
  }

  /** `STATE COUNT SERVICE`: tasks of the service in a state; `gone SERVICE`: none is left. */
  async #wait(text: string): Promise<void> {
    const [state = "", count = "", service = count] = text.split(" ");
    const wanted = state === "gone" ? 0 : Number(count);
    let last = "";
    await until(
      `${text}`,
      async () => {
        const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
        const answer = await this.#fetch(`/v1.41/tasks?filters=${filters}`, {});
        // A service that is gone is not found, and so are its tasks.
        const tasks = (answer.ok ? await answer.json() : []) as {
          DesiredState: string;
          Status: { State: string };
        }[];
        if (!answer.ok) last = await answer.text();
        else last = tasks.map((task) => `${task.Status.State}/${task.DesiredState}`).join(" ");
        if (state === "gone") return tasks.length === 0;
        return tasks.filter((task) =>
          task.Status.State === state && (state !== "running" || task.DesiredState === "running")
        ).length === wanted;
      },
      STEP_TIMEOUT_MS,
      100,
    ).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}; last: ${last}`);
    });
  }

  /** `${self}` (this node's id), `${version PATH}`, `${id PATH}` and `${spec PATH {"changed":…}}` of an object as it is now. */
  async #fill(text: string): Promise<string> {
    let filled = text;
    if (text.includes("${self}")) {
      const { Swarm } = await this.#get("/v1.41/info") as { Swarm: { NodeID: string } };
      filled = filled.replaceAll("${self}", Swarm.NodeID);
    }
    for (
      const [whole, what, path, change] of filled.matchAll(
        /\$\{(version|id|spec) ([\w/.-]+)(?: (\{[\s\S]*?\}))?\}(?=$|[\s&/"'?])/g,
      )
    ) {
      const object = await this.#get(`/v1.41/${path}`) as {
        ID?: string;
        Id?: string;
        Version: { Index: number };
        Spec: Record<string, unknown>;
      };
      const value = what === "version"
        ? String(object.Version.Index)
        : what === "id"
        ? object.ID ?? object.Id ?? ""
        : JSON.stringify({ ...object.Spec, ...JSON.parse(change ?? "{}") as object });
      filled = filled.replace(whole, () => value);
    }
    return filled;
  }

  async #get(path: string): Promise<unknown> {
    const response = await this.#fetch(path, {});
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  #fetch(path: string, init: RequestInit): Promise<Response> {
    const all: RequestInit & { client: Deno.HttpClient } = {
      ...init,
      client: this.#client,
      signal: AbortSignal.timeout(STEP_TIMEOUT_MS),
    };
    return fetch(`http://docker${path}`, all);
  }
}
