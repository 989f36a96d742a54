/** A connection with two directions that end separately. Deno's unix and TCP connections are ones. */
export interface Duplex {
  /** Null at the end of the other side's data. */
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

const BUFFER = 64 * 1024;

export async function writeAll(to: Duplex, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}

/** Copies one direction to its end and passes the end on. Awaiting each write is the back-pressure. */
export async function pump(from: Duplex, to: Duplex): Promise<void> {
  const buffer = new Uint8Array(BUFFER);
  for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
    await writeAll(to, buffer.subarray(0, n));
  }
  await to.closeWrite();
}

/**
 * Joins two connections until the second one (the engine) has said everything; a client that has only
 * finished sending still gets its answer.
 */
export async function splice(client: Duplex, engine: Duplex, first: Uint8Array): Promise<void> {
  if (first.length > 0) await writeAll(engine, first);
  const upstream = pump(client, engine).catch(() => {});
  try {
    await pump(engine, client);
  } catch {
    // Either side went away: so does the other.
  } finally {
    close(engine);
    close(client);
  }
  await upstream;
}

export function close(connection: Duplex): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
