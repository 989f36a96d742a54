import { formatDuration } from "../src/base/duration.ts";
import type { ApiInfo, SwarmInfo } from "./api_types.ts";
import { Blocks } from "./render/blocks.ts";
import { renderInspect } from "./render/inspect.ts";
import { lifeText } from "./render/text.ts";
import { fleetInfo } from "./tolerance.ts";
import type { Verb } from "./verb.ts";
import { versionText } from "./version_text.ts";

export const verb: Verb<{ readonly format?: string }> = {
  define(command) {
    command.value("-f, --format <string>", "json, or a Go template over the agent's GET /info")
      .examples("fleet info", "fleet info --format '{{.Swarm.LocalNodeState}}'");
  },
  async run({ client, env, warn }, _args, { format }) {
    const info = await client.get<ApiInfo>("/info");
    if (format) {
      env.stdout.write(renderInspect([info], format));
      return;
    }
    env.stdout.write(
      new Blocks().line("Agent", client.host).line("Client", versionText(env.build))
        .line("Host", info.Name).line("Engine", info.ServerVersion).toString(),
    );
    env.stdout.write(swarmText(info.Swarm ?? {}));
    const own = await fleetInfo(client);
    for (const warning of info.Swarm?.Warnings ?? []) {
      // The last line says it.
      if (!own?.Tolerance?.startsWith(warning)) warn(`WARNING: ${warning}`);
    }
    if (own?.CertificateExpiry) {
      const left = lifeText(own.CertificateExpiry, own.CertificateDaysLeft ?? 0);
      env.stdout.write(new Blocks().line("Certificate", left).toString());
    }
    if (own?.Networks) {
      const { Mesh, Drift, Problems = {} } = own.Networks;
      env.stdout.write(
        new Blocks().line("Mesh", Mesh || undefined).line("Repairs", Drift || undefined).toString(),
      );
      for (const problem of Object.values(Problems)) warn(`WARNING: ${problem}`);
    }
    if (own?.Tolerance) env.stdout.write(`${own.Tolerance}\n`);
  },
};

/** The Swarm block of `docker info`, in its order. */
export function swarmText(swarm: SwarmInfo): string {
  const out = new Blocks().line("Swarm", swarm.LocalNodeState ?? "inactive");
  if (!swarm.LocalNodeState || ["inactive", "locked"].includes(swarm.LocalNodeState)) {
    return out.toString();
  }
  const inner = new Blocks(1);
  inner.line("NodeID", swarm.NodeID).line("Error", swarm.Error)
    .line("Is Manager", swarm.ControlAvailable ?? false);
  if (swarm.ControlAvailable && !swarm.Error) clusterLines(inner, swarm);
  inner.line("Node Address", swarm.NodeAddr).block("Manager Addresses", (addresses) => {
    for (const address of (swarm.RemoteManagers ?? []).map((m) => m.Addr).sort()) {
      addresses.text(address);
    }
  });
  return out.toString() + inner.toString();
}

function clusterLines(out: Blocks, swarm: SwarmInfo): void {
  const cluster = swarm.Cluster ?? {};
  const spec = cluster.Spec ?? {};
  const duration = (ns: number | undefined) => ns === undefined ? undefined : formatDuration(ns);
  out.line("ClusterID", cluster.ID).line("Managers", swarm.Managers).line("Nodes", swarm.Nodes)
    .line("Default Address Pool", cluster.DefaultAddrPool?.join(" "))
    .line("SubnetSize", cluster.SubnetSize).line("Data Path Port", cluster.DataPathPort)
    .block("Orchestration", (block) =>
      block.line(
        "Task History Retention Limit",
        spec.Orchestration?.TaskHistoryRetentionLimit,
      ))
    .block("Raft", (block) =>
      block.line("Snapshot Interval", spec.Raft?.SnapshotInterval)
        .line("Number of Old Snapshots to Retain", spec.Raft?.KeepOldSnapshots)
        .line("Heartbeat Tick", spec.Raft?.HeartbeatTick)
        .line("Election Tick", spec.Raft?.ElectionTick))
    .block(
      "Dispatcher",
      (block) => block.line("Heartbeat Period", duration(spec.Dispatcher?.HeartbeatPeriod)),
    )
    .block(
      "CA Configuration",
      (block) =>
        block.line("Expiry Duration", duration(spec.CAConfig?.NodeCertExpiry))
          .line("Force Rotate", spec.CAConfig?.ForceRotate ?? 0)
          .block("External CAs", (list) => {
            for (const ca of spec.CAConfig?.ExternalCAs ?? []) {
              list.text(`${ca.Protocol}: ${ca.URL}`);
            }
          }),
    )
    .line("Autolock Managers", spec.EncryptionConfig?.AutoLockManagers ?? false)
    .line("Root Rotation In Progress", cluster.RootRotationInProgress ?? false);
}
