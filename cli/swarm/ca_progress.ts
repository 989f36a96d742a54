import type { ApiNode, ApiSwarm } from "../api_types.ts";
import type { ProgressLine } from "../render/progress_state.ts";

/** Names in one line. */
const MAX_NAMES = 5;

/** How far a change of the root CA has come: one line per stage, as Docker's client shows it. */
export async function rotationLines(
  swarm: ApiSwarm,
  nodes: readonly ApiNode[],
): Promise<ProgressLine[]> {
  const root = swarm.TLSInfo?.TrustRoot ?? "";
  const behind = nodes.filter(({ Description }) =>
    Description?.TLSInfo?.CertIssuerPublicKey !== swarm.TLSInfo?.CertIssuerPublicKey ||
    Description?.TLSInfo?.CertIssuerSubject !== swarm.TLSInfo?.CertIssuerSubject
  );
  // Until the end everybody still names the old root, which says nothing about the new one.
  const trusted = swarm.RootRotationInProgress
    ? 0
    : nodes.filter((node) => node.Description?.TLSInfo?.TrustRoot === root).length;
  const line = (id: string, count: number): ProgressLine => ({
    id,
    text: `${count}/${nodes.length} nodes`,
    step: count,
    steps: nodes.length,
  });
  return [
    { id: "desired root digest", text: `sha256:${await sha256(root)}` },
    line("rotated TLS certificates", nodes.length - behind.length),
    line("rotated CA certificates", trusted),
    // Always there: what is redrawn in place must not become shorter.
    { id: "waiting for", text: behind.length > 0 ? namesOf(behind) : "nobody" },
  ];
}

/** Nodes by name; those that cannot follow now hold everything up until they are back or removed. */
function namesOf(nodes: readonly ApiNode[]): string {
  const names = nodes.map(({ ID, Spec, Description, Status }) =>
    (Spec?.Name || Description?.Hostname || ID) +
    (Status?.State === "ready" ? "" : ` (${Status?.State})`)
  ).sort();
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
