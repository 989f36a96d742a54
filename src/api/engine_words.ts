import { FleetError } from "../base/errors.ts";
import type { EngineFetch } from "./engine_fetch.ts";

/** Prefixes below this have never been Docker's swarm API. */
const OLDEST = "1.24";
/** Headers of every answer of Docker's daemon, by which clients tell what they speak to. */
const HEADERS = ["api-version", "ostype", "server"] as const;

/** What the engine says of itself on every answer, asked for once and again with every ping. */
export class EngineWords {
  readonly #engine: EngineFetch;
  #headers: ReadonlyMap<string, string> = new Map();

  constructor(engine: EngineFetch) {
    this.#engine = engine;
  }

  /** Takes the headers of an answer of the engine. */
  note(headers: Headers): void {
    const found = HEADERS.flatMap((name) => {
      const value = headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    if (found.length > 0) this.#headers = new Map(found);
  }

  /** Puts them on an answer of fleet. */
  sign(response: Response): Response {
    for (const [name, value] of this.#headers) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  /**
   * Asks an engine that has not spoken yet. An engine that does not answer keeps no request about the cluster
   * from being answered.
   */
  async learn(): Promise<void> {
    if (this.#headers.size > 0) return;
    try {
      const response = await this.#engine("/_ping", { method: "HEAD" });
      await response.body?.cancel();
      this.note(response.headers);
    } catch {
      // The next request asks again.
    }
  }

  /** @throws FleetError invalid for a version prefix that the engine does not speak */
  check(target: string): void {
    const [, major, minor] = /^\/v(\d+)\.(\d+)\//.exec(target) ?? [];
    if (major === undefined || minor === undefined) return;
    const version = `${major}.${minor}`;
    const newest = this.#headers.get("api-version");
    if (newest !== undefined && compareVersions(version, newest) > 0) {
      throw new FleetError(
        "invalid",
        `client version ${version} is too new. Maximum supported API version is ${newest}`,
      );
    }
    if (compareVersions(version, OLDEST) < 0) {
      throw new FleetError(
        "invalid",
        `client version ${version} is too old. Minimum supported API version is ${OLDEST}, please upgrade your client to a newer version`,
      );
    }
  }
}

/** Below, at or above 0, as `a` is older, the same or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}
