/**
 * A bounded crowd of strangers. When one source brings too many, its own oldest has to go; when all
 * together are too many, the oldest of the largest source. So a flood from one address displaces itself,
 * and somebody new always gets a turn.
 */
export class BoundedBySource<T> {
  readonly #bySource = new Map<string, Set<T>>();
  readonly #sources = new Map<T, string>();

  constructor(readonly max: number, readonly maxPerSource: number) {}

  get size(): number {
    return this.#sources.size;
  }

  /** Adds `item` and returns the one that must be given up for it. */
  add(item: T, source: string): T | undefined {
    const own = this.#bySource.get(source) ?? new Set<T>();
    this.#bySource.set(source, own.add(item));
    this.#sources.set(item, source);
    const crowd = own.size > this.maxPerSource
      ? own
      : this.size > this.max
      ? this.#largest()
      : undefined;
    const victim = crowd?.values().next().value;
    if (victim !== undefined) this.delete(victim);
    return victim;
  }

  delete(item: T): boolean {
    const source = this.#sources.get(item);
    if (source === undefined) return false;
    this.#sources.delete(item);
    const own = this.#bySource.get(source);
    own?.delete(item);
    if (own?.size === 0) this.#bySource.delete(source);
    return true;
  }

  values(): T[] {
    return [...this.#sources.keys()];
  }

  #largest(): Set<T> | undefined {
    let largest: Set<T> | undefined;
    for (const crowd of this.#bySource.values()) {
      if (!largest || crowd.size > largest.size) largest = crowd;
    }
    return largest;
  }
}
