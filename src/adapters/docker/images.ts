import { abortable } from "./abortable.ts";
import { engineCall, EngineError, jsonLines } from "./engine.ts";
import type { EngineApi } from "./engine.ts";

/** A finished look at an image counts this long: the replicas of a service arrive together. */
const FRESH_MS = 10_000;
const MAX_REMEMBERED = 200;

/** Why an image could not be had. */
export type PullProblem = "not-found" | "unauthorized" | "unreachable" | "other";

/** A pull that failed, for an image that is not here either. */
export class PullError extends Error {
  override readonly name = "PullError";
  constructor(readonly problem: PullProblem, image: string, sentence: string) {
    super(`cannot pull image ${image}: ${MEANING[problem]}${sentence}`);
  }
}

const MEANING: Readonly<Record<PullProblem, string>> = {
  "not-found": "no such image: ",
  unauthorized: "the registry refuses the credentials: ",
  unreachable: "the registry cannot be reached: ",
  other: "",
};

interface Attempt {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  waiters: number;
  finishedAt: number;
}

/** Brings images to the node, one pull at a time for each image and credentials. */
export class Images {
  readonly #engine: EngineApi;
  readonly #now: () => number;
  readonly #attempts = new Map<string, Attempt>();

  /** `now` is a clock that does not go back, in milliseconds. */
  constructor(engine: EngineApi, now: () => number = () => performance.now()) {
    this.#engine = engine;
    this.#now = now;
  }

  /**
   * Makes sure that the image is here, as Docker's agent does: an image that is named by its digest and
   * is here is not pulled; one that cannot be pulled but is here will do.
   * @throws PullError when it is not here and cannot be had, FleetError unavailable without an engine
   */
  async ensure(
    image: string,
    registryAuth: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const attempt = this.#attempt(image, registryAuth);
    attempt.waiters++;
    try {
      await abortable(attempt.done, signal);
    } finally {
      // A pull that nobody waits for any more (the service was removed) is given up.
      if (--attempt.waiters === 0 && attempt.finishedAt === Infinity) attempt.abort.abort();
    }
  }

  #attempt(image: string, registryAuth: string | undefined): Attempt {
    const key = `${image} ${registryAuth ?? ""}`;
    const known = this.#attempts.get(key);
    if (known && !known.abort.signal.aborted && this.#now() - known.finishedAt < FRESH_MS) {
      return known;
    }
    if (this.#attempts.size >= MAX_REMEMBERED) this.#attempts.clear();
    const abort = new AbortController();
    const attempt: Attempt = {
      done: this.#bring(image, registryAuth, abort.signal),
      abort,
      waiters: 0,
      finishedAt: Infinity,
    };
    attempt.done.then(
      () => attempt.finishedAt = this.#now(),
      // A failure is for those who waited; the next task tries for itself.
      () => {
        attempt.finishedAt = -Infinity;
        if (this.#attempts.get(key) === attempt) this.#attempts.delete(key);
      },
    );
    this.#attempts.set(key, attempt);
    return attempt;
  }

  async #bring(image: string, registryAuth: string | undefined, signal: AbortSignal) {
    if (image.includes("@") && await this.#isHere(image, signal)) return;
    try {
      await this.#pull(image, registryAuth, signal);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (await this.#isHere(image, signal)) return;
      throw new PullError(pullProblem(error), image, error.message);
    }
  }

  async #isHere(image: string, signal: AbortSignal): Promise<boolean> {
    try {
      await engineCall(this.#engine, "GET", `/images/${image}/json`, { signal });
      return true;
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return false;
      throw error;
    }
  }

  async #pull(image: string, registryAuth: string | undefined, signal: AbortSignal) {
    const { name, tag } = splitTag(image);
    const query = `fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}`;
    const headers = registryAuth ? { "x-registry-auth": registryAuth } : {};
    const response = await this.#engine.request("POST", `/images/create?${query}`, {
      headers,
      signal,
    });
    for await (const line of jsonLines(response, this.#engine.socket)) {
      const failure = (line as { error?: string }).error;
      if (failure) throw new EngineError(500, failure);
    }
  }
}

/** The engine answers 500 for nearly everything: what went wrong is in its sentence. */
export function pullProblem({ status, message }: { status: number; message: string }): PullProblem {
  if (/unauthorized|access denied|denied:|no basic auth|authentication required/i.test(message)) {
    return "unauthorized";
  }
  if (status === 404 || /not found|manifest unknown|no such image/i.test(message)) {
    return "not-found";
  }
  if (
    /dial tcp|lookup |connection refused|i\/o timeout|no route to host|TLS handshake|x509|deadline exceeded|Client\.Timeout/i
      .test(message)
  ) return "unreachable";
  return "other";
}

/** A tag or digest apart from the name; `latest` when there is neither. */
export function splitTag(image: string): { name: string; tag: string } {
  const at = image.indexOf("@");
  if (at >= 0) {
    return { name: image.slice(0, at).replace(/:[^/:]+$/, ""), tag: image.slice(at + 1) };
  }
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { name: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { name: image, tag: "latest" };
}
