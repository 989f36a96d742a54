/** The replicated state machine of the simulation: keys with a text each. */

export type Operation =
  | { readonly kind: "read"; readonly key: string }
  | { readonly kind: "write"; readonly key: string; readonly value: string }
  | { readonly kind: "append"; readonly key: string; readonly value: string }
  | {
    readonly kind: "cas";
    readonly key: string;
    readonly from: string;
    readonly value: string;
  }
  /** Makes it as if it had never been written; fails where it has not. */
  | { readonly kind: "delete"; readonly key: string };

/** What an operation returns: the value read, or whether a compare-and-set took effect. */
export type Output = string | boolean;

/** The value of `state` after `op`, and what `op` returns. A key that was never written is "". */
export function perform(state: string, op: Operation): { state: string; output: Output } {
  switch (op.kind) {
    case "read":
      return { state, output: state };
    case "write":
      return { state: op.value, output: true };
    case "append":
      return { state: state + op.value, output: true };
    case "cas":
      return state === op.from ? { state: op.value, output: true } : { state, output: false };
    case "delete":
      return { state: "", output: state !== "" };
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `id` is unique per attempt: it tells one entry from another. */
export function encodeCommand(id: number, op: Operation): Uint8Array {
  return encoder.encode(JSON.stringify([id, op]));
}

export function decodeCommand(data: Uint8Array): [id: number, op: Operation] {
  return JSON.parse(decoder.decode(data));
}

export class Machine {
  #values = new Map<string, string>();

  apply(data: Uint8Array): Output {
    const [, op] = decodeCommand(data);
    const result = perform(this.#values.get(op.key) ?? "", op);
    this.#values.set(op.key, result.state);
    return result.output;
  }

  read(key: string): string {
    return this.#values.get(key) ?? "";
  }

  /** Sorted, so that equal states have equal bytes. */
  encode(): Uint8Array {
    return encoder.encode(JSON.stringify([...this.#values].sort(([a], [b]) => a < b ? -1 : 1)));
  }

  static decode(data: Uint8Array): Machine {
    const machine = new Machine();
    if (data.length > 0) machine.#values = new Map(JSON.parse(decoder.decode(data)));
    return machine;
  }
}
