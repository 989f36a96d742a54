import type { ApiNode } from "../api_types.ts";
import { Blocks } from "../render/blocks.ts";
import { bytesText, lifeText, timeText, title } from "../render/text.ts";

/** A node in words. */
export function prettyNode(node: ApiNode): string {
  const out = new Blocks();
  const description = node.Description ?? {};
  out.line("ID", node.ID).line("Name", node.Spec.Name).pairs("Labels", node.Spec.Labels)
    .line("Hostname", description.Hostname)
    .line("Joined at", timeText(node.CreatedAt))
    .block("Status", (status) =>
      status.line("State", title(node.Status.State))
        .line("Message", node.Status.Message)
        .line("Availability", title(node.Spec.Availability ?? "active"))
        .line("Address", node.Status.Addr));
  const manager = node.ManagerStatus;
  if (manager) {
    out.block("Manager Status", (status) =>
      status.line("Address", manager.Addr)
        .line("Raft Status", title(manager.Reachability ?? ""))
        .line("Leader", manager.Leader ? "Yes" : "No"));
  }
  out.block("Platform", (platform) =>
    platform.line("Operating System", description.Platform?.OS)
      .line("Architecture", description.Platform?.Architecture));
  out.block(
    "Resources",
    (resources) =>
      resources.line("CPUs", (description.Resources?.NanoCPUs ?? 0) / 1e9)
        .line("Memory", bytesText(description.Resources?.MemoryBytes ?? 0)),
  );
  const plugins = new Map<string, string[]>();
  for (const plugin of description.Engine?.Plugins ?? []) {
    const type = plugin.Type ?? "";
    plugins.set(type, [...plugins.get(type) ?? [], plugin.Name ?? ""]);
  }
  out.block("Plugins", (list) => {
    for (const type of [...plugins.keys()].sort()) {
      list.line(type, plugins.get(type)?.sort().join(", "));
    }
  });
  out.line("Engine Version", description.Engine?.EngineVersion)
    .pairs("Engine Labels", description.Engine?.Labels);
  if (node.CertificateExpiry) {
    out.line("Certificate", lifeText(node.CertificateExpiry, node.CertificateDaysLeft ?? 0));
  }
  const tls = description.TLSInfo;
  if (tls?.TrustRoot) {
    out.text("TLS Info:").text(" TrustRoot:");
    for (const line of tls.TrustRoot.trimEnd().split("\n")) out.text(line);
    out.text("").line(" Issuer Subject", tls.CertIssuerSubject)
      .line(" Issuer Public Key", tls.CertIssuerPublicKey);
  }
  return out.toString();
}
