import { FleetError } from "../../base/errors.ts";
import { canonicalObject, TABLES } from "../../model/objects.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import type { Change } from "../../model/view.ts";

/** Version of the encoding of log entries and snapshots; the first byte of both. */
const FORMAT = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Largest encoded transaction, as in SwarmKit: a larger one would stall the log for everybody. */
export const MAX_ENTRY_BYTES = 1.5 * 1024 * 1024;

/** Encodes changes for the log: fields in schema order, map keys sorted. @throws FleetError invalid when too large */
export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const json = JSON.stringify(
    changes.map((change) =>
      change.op === "remove" ? { op: "remove", table: change.table, id: change.id } : {
        op: change.op,
        table: change.table,
        object: canonicalObject(change.table, change.object),
      }
    ),
  );
  const bytes = framed(json);
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new FleetError(
      "invalid",
      `the change needs ${bytes.length} bytes in the log; at most ${MAX_ENTRY_BYTES} fit`,
    );
  }
  return bytes;
}

/** @throws FleetError corrupt for a format this program does not know */
export function decodeChanges(bytes: Uint8Array): Change[] {
  return JSON.parse(unframed(bytes, "log entry")) as Change[];
}

/** Objects encoded between two yields to the event loop. */
const SNAPSHOT_CHUNK = 250;

/** Encodes captured tables, yielding between chunks by `pause` so that heartbeats go out. */
export async function encodeSnapshot(
  captured: { index: number; tables: { [T in TableName]: readonly Objects[T][] } },
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [framed(JSON.stringify({ index: captured.index }) + "\n")];
  for (const table of TABLES) {
    const objects = [...captured.tables[table]].sort((a, b) => a.ID < b.ID ? -1 : 1);
    for (let i = 0; i < objects.length; i += SNAPSHOT_CHUNK) {
      const lines = objects.slice(i, i + SNAPSHOT_CHUNK)
        .map((object) => `${table} ${JSON.stringify(canonicalObject(table, object))}\n`);
      parts.push(encoder.encode(lines.join("")));
      await pause();
    }
  }
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** @throws FleetError corrupt for a format this program does not know */
export function decodeSnapshot(
  bytes: Uint8Array,
): { index: number; tables: { [T in TableName]: Objects[T][] } } {
  const tables = Object.fromEntries(TABLES.map((table) => [table, []])) as unknown as {
    [T in TableName]: Objects[T][];
  };
  let head: { index: number } | undefined;
  // Line by line: one text of it all, and its lines, would be held beside the bytes and the objects.
  for (const line of linesOf(checkedBody(bytes, "snapshot"))) {
    if (!head) {
      head = JSON.parse(line) as { index: number };
      continue;
    }
    const space = line.indexOf(" ");
    const table = line.slice(0, space) as TableName;
    if (!(table in tables)) {
      throw new FleetError(
        "corrupt",
        `snapshot has a table "${table}" that this fleet does not know; run the version that wrote it`,
      );
    }
    (tables[table] as unknown[]).push(JSON.parse(line.slice(space + 1)));
  }
  if (!head) throw new FleetError("corrupt", "a snapshot without a head");
  return { index: head.index, tables };
}

/** The lines that are not empty. */
function* linesOf(bytes: Uint8Array): Generator<string> {
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(10, from);
    const end = found < 0 ? bytes.length : found;
    if (end > from) yield decoder.decode(bytes.subarray(from, end));
    from = end + 1;
  }
}

function framed(json: string): Uint8Array {
  const body = encoder.encode(json);
  const out = new Uint8Array(body.length + 1);
  out[0] = FORMAT;
  out.set(body, 1);
  return out;
}

function unframed(bytes: Uint8Array, what: string): string {
  return decoder.decode(checkedBody(bytes, what));
}

/** What follows the format's number. @throws FleetError corrupt */
function checkedBody(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes[0] !== FORMAT) {
    throw new FleetError(
      "corrupt",
      `${what} has format ${
        bytes[0]
      }, this fleet reads format ${FORMAT}; run the version that wrote it`,
    );
  }
  return bytes.subarray(1);
}
