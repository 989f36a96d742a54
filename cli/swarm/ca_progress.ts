import type { ApiNode, ApiSwarm } from "../api_types.ts";
import type { ProgressLine } from "../render/progress_state.ts";

/** How far a change of the root CA has come: one line per stage, as Docker's client shows it. */
export async function rotationLines(
  swarm: ApiSwarm,
  nodes: readonly ApiNode[],
): Promise<ProgressLine[]> {
  const root = swarm.TLSInfo?.TrustRoot ?? "";
  const issued =
    nodes.filter((node) =>
      node.Description?.TLSInfo?.CertIssuerPublicKey === swarm.TLSInfo?.CertIssuerPublicKey &&
      node.Description?.TLSInfo?.CertIssuerSubject === swarm.TLSInfo?.CertIssuerSubject
    ).length;
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
    line("rotated TLS certificates", issued),
    line("rotated CA certificates", trusted),
  ];
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
