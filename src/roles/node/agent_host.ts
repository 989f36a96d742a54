import { parseHostPort } from "../../base/addresses.ts";
import { Attachments } from "./attachments.ts";
import { saveIdentity } from "./identity.ts";
import type { AgentHost, FleetNodeOptions } from "./node_options.ts";
import { followToldRoot } from "./prepare_running.ts";
import { managerAddresses } from "./running.ts";
import type { Running } from "./running.ts";
import { tlsInfo } from "./trust_root.ts";

/** What the agent of a member is told of it, and what its sessions tell back. */
export function agentHost(options: FleetNodeOptions, running: Running): AgentHost {
  const { trust, clock } = options;
  return {
    nodeId: running.identity.nodeId,
    dataPathAddr: running.identity.dataPathAddr,
    apiPort: parseHostPort(running.identity.advertiseAddr, 0).port,
    dialer: running.dialer,
    managers: () => managerAddresses(running),
    attachments: new Attachments(() => running),
    tlsInfo: () => tlsInfo(running.credentials.current(), trust, clock.now()),
    onTlsChange: (listener) => running.credentials.onChange(listener),
    onSession: ({ managers, role, renewCertificate, trustRoot }) => {
      rememberManagers(options, running, managers);
      running.toldTrustRoot = trustRoot;
      followToldRoot(options, running);
      if (role !== running.identity.role) running.renewal.renewNow();
      else if (renewCertificate) running.renewal.renewSoon();
    },
  };
}

function rememberManagers(
  { files }: FleetNodeOptions,
  running: Running,
  managers: readonly { readonly nodeId: string; readonly addr: string }[],
): void {
  if (managers.length === 0) return;
  if (JSON.stringify(managers) === JSON.stringify(running.identity.managers)) return;
  running.identity = { ...running.identity, managers };
  saveIdentity(files, running.identity);
}
