/**
 * `--pretty` output: lines `Name:\tvalue`, nested by one blank each. Empty values are left out unless
 * they are wanted; a block without lines vanishes with its heading.
 */
export class Blocks {
  readonly #lines: string[] = [];
  constructor(readonly depth = 0) {}

  line(name: string, value: string | number | boolean | undefined | null): this {
    if (value === undefined || value === null || value === "") return this;
    this.#lines.push(`${" ".repeat(this.depth)}${name}:\t${value}`);
    return this;
  }

  /** A line as it is, at this block's depth. */
  text(line: string): this {
    this.#lines.push(`${" ".repeat(this.depth)}${line}`);
    return this;
  }

  block(name: string, fill: (inner: Blocks) => void): this {
    const inner = new Blocks(this.depth + 1);
    fill(inner);
    if (inner.#lines.length > 0) {
      this.#lines.push(`${" ".repeat(this.depth)}${name}:`, ...inner.#lines);
    }
    return this;
  }

  /** `- key=value` per entry, by key. */
  pairs(name: string, record: Readonly<Record<string, string>> | null | undefined): this {
    return this.block(name, (inner) => {
      for (const [key, value] of Object.entries(record ?? {}).sort(([a], [b]) => a < b ? -1 : 1)) {
        inner.text(value === "" ? `- ${key}` : `- ${key}=${value}`);
      }
    });
  }

  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join("");
  }
}
