/** For the tests of this folder: nodes, the real openssl, files that go away. */
import assert from "node:assert/strict";
import { createKeyAndCsr } from "./certificate_request.ts";
import { issue } from "./node_certificate.ts";
import { createRootCa } from "./root_ca.ts";

export const NOW = Date.UTC(2026, 5, 1);
export const DAY_MS = 24 * 3_600_000;
export const NODE = "n".repeat(25);
export const CLUSTER = "c".repeat(25);

/** A node with key and certificate. */
export function issueFor(role: "manager" | "worker", options: {
  root?: { certPem: string; keyPem: string };
  nodeId?: string;
  nowMs?: number;
  chainPem?: string;
} = {}) {
  const { nowMs = NOW, nodeId = NODE } = options;
  const root = options.root ?? createRootCa(nowMs);
  const { csrPem, keyPem } = createKeyAndCsr();
  const { certPem } = issue({
    caCertPem: root.certPem,
    caKeyPem: root.keyPem,
    ...(options.chainPem === undefined ? {} : { chainPem: options.chainPem }),
    csrPem,
    nodeId,
    role,
    clusterId: CLUSTER,
    nowMs,
    validityMs: 90 * DAY_MS,
  });
  return { root, certPem, keyPem };
}

/** What openssl printed; fails with its complaint. */
export async function openssl(args: readonly string[], stdin = ""): Promise<string> {
  const child = new Deno.Command("openssl", {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

/** Runs with a folder that holds `files`; `path` names them, and others that openssl makes. */
export async function withFiles(
  files: Readonly<Record<string, string>>,
  run: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "crypto_test_" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await run((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
