import type { BackupFacts } from "../../src/model/backup.ts";
import type { ApiClient } from "../client.ts";
import { Blocks } from "../render/blocks.ts";
import { ago } from "../render/text.ts";
import { passphraseHeader } from "./passphrase.ts";

/** Has the agent open a backup and look into it. */
export async function inspectBackup(
  client: ApiClient,
  bytes: Uint8Array,
  passphrase: string,
): Promise<BackupFacts> {
  return await client.post("/fleet/backup/inspect", {
    bytes,
    headers: passphraseHeader(passphrase),
  });
}

export function factsText(facts: BackupFacts, nowMs: number): string {
  return new Blocks()
    .line("Cluster", facts.ClusterID)
    .line("Made", `${facts.CreatedAt} (${ago(facts.CreatedAt, nowMs)}), by fleet ${facts.Version}`)
    .line("Made on", `${facts.NodeID} (${facts.AdvertiseAddr})`)
    .line("Nodes", `${facts.Nodes}, of which ${facts.Managers} managers`)
    .line("Services", `${facts.Services}, with ${facts.Tasks} tasks`)
    .line("Secrets", String(facts.Secrets))
    .line("Configs", String(facts.Configs))
    .line("Networks", String(facts.Networks))
    .line("Autolock", facts.Autolock ? "on: the unlock key stays the same" : "off")
    .toString();
}

/** 12.3 kB */
export function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
