import { EngineError, jsonLines } from "./engine.ts";
import type { Engine } from "./engine.ts";

/** A finished pull of the same image and credentials counts this long: replicas arrive together. */
const PULL_FRESH_MS = 10_000;
const MAX_REMEMBERED = 200;

/** Brings images to the node, one pull at a time for each. */
export class Images {
  readonly #engine: Engine;
  readonly #pulls = new Map<string, { readonly done: Promise<void>; at: number }>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Makes sure that the image is here. An image that cannot be pulled but is here already will do.
   * @throws EngineError with the engine's sentence, in words for what went wrong
   */
  async ensure(
    image: string,
    registryAuth: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (image.includes("@") && await this.#isHere(image, signal)) return;
    try {
      await this.#pullOnce(image, registryAuth);
    } catch (error) {
      if (await this.#isHere(image, signal)) return;
      throw error;
    }
  }

  async #isHere(image: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#engine.call("GET", `/images/${image}/json`, { signal });
      return true;
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return false;
      throw error;
    }
  }

  #pullOnce(image: string, registryAuth: string | undefined): Promise<void> {
    const key = `${image} ${registryAuth ?? ""}`;
    const known = this.#pulls.get(key);
    if (known && performance.now() - known.at < PULL_FRESH_MS) return known.done;
    if (this.#pulls.size >= MAX_REMEMBERED) this.#pulls.clear();
    const pull = { done: this.#pull(image, registryAuth), at: Infinity };
    pull.done.catch(() => {}).finally(() => pull.at = performance.now());
    this.#pulls.set(key, pull);
    return pull.done;
  }

  async #pull(image: string, registryAuth: string | undefined): Promise<void> {
    const { name, tag } = splitTag(image);
    const query = `fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}`;
    const headers = registryAuth ? { "x-registry-auth": registryAuth } : {};
    const response = await this.#engine.request("POST", `/images/create?${query}`, { headers });
    for await (const line of jsonLines(response)) {
      const failure = (line as { error?: string }).error;
      if (failure) throw new EngineError(500, failure);
    }
  }
}

/** A tag or digest apart from the name; `latest` when there is neither. */
function splitTag(image: string): { name: string; tag: string } {
  const at = image.indexOf("@");
  if (at >= 0) {
    return { name: image.slice(0, at).replace(/:[^/:]+$/, ""), tag: image.slice(at + 1) };
  }
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { name: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { name: image, tag: "latest" };
}
