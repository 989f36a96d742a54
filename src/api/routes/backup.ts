import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";

/** Carries the passphrase, in base64 of its UTF-8; it never leaves this machine's socket. */
export const PASSPHRASE_HEADER = "fleet-passphrase";
/** Shorter ones are guessed. */
const MIN_PASSPHRASE = 8;

/** Backups of the cluster's state, under /fleet/: made whole, looked into, and restored from. */
export function backupRoutes(app: Hono, backend: Backend): void {
  app.post("/fleet/backup", async (c) => {
    const file = await backend.backup(passphraseOf(c));
    return c.body(file.slice().buffer, 200, { "content-type": "application/octet-stream" });
  });
  app.post(
    "/fleet/backup/inspect",
    async (c) => c.json(await backend.backupFacts(await fileOf(c), passphraseOf(c))),
  );
  app.post("/fleet/backup/restore", async (c) =>
    c.json(
      await backend.restore(await fileOf(c), {
        passphrase: passphraseOf(c),
        listenAddr: c.req.query("listenAddr"),
        advertiseAddr: c.req.query("advertiseAddr"),
        dataPathAddr: c.req.query("dataPathAddr"),
      }),
    ));
}

async function fileOf(c: Context): Promise<Uint8Array> {
  return new Uint8Array(await c.req.arrayBuffer());
}

/** @throws FleetError invalid */
function passphraseOf(c: Context): string {
  let text = "";
  try {
    const bytes = Uint8Array.fromBase64(c.req.header(PASSPHRASE_HEADER) ?? "");
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FleetError("invalid", `the header ${PASSPHRASE_HEADER} is not base64 of a text`);
  }
  if (text.length < MIN_PASSPHRASE) {
    throw new FleetError("invalid", `the passphrase needs at least ${MIN_PASSPHRASE} characters`);
  }
  return text;
}
