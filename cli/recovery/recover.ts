import type { ApiInfo, ApiNode, FleetInfo } from "../api_types.ts";
import { confirm } from "../confirm.ts";
import { EXIT } from "../exit_codes.ts";
import type { Verb } from "../verb.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly advertiseAddr?: string;
}

interface Managers extends FleetInfo {
  readonly Managers?: number;
  readonly ManagersReachable?: number;
}

export const verb: Verb<Flags> = {
  define(command) {
    command
      .flag("--dry-run", "Say what is wrong and what would be done, and change nothing")
      .value("--advertise-addr <address>", "Address that other nodes use from now on")
      .flag("-y, --yes", "Ask nothing")
      .addHelpText(
        "after",
        "\nRun it on a manager that is left. While a majority answers it changes nothing. Otherwise, once you\n" +
          "agree, this manager goes on alone with all that it knows; the others must leave and join again.",
      )
      .examples("fleet recover --dry-run", "fleet recover");
  },
  async run({ client, env, print }, _args, flags) {
    const [{ Swarm }, fleet] = await Promise.all([
      client.get<ApiInfo>("/info"),
      client.get<Managers>("/fleet/info"),
    ]);
    const state = Swarm?.LocalNodeState ?? "inactive";
    if (state !== "active" || !Swarm?.ControlAvailable) {
      for (const line of elsewhere(state, Swarm?.Error, addresses(Swarm?.RemoteManagers))) {
        print(line);
      }
      return EXIT.failed;
    }
    const nodes = await client.get<ApiNode[]>("/nodes");
    const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus);
    print("1. The managers, as this node sees them:");
    for (const { ID, Spec, Description, ManagerStatus, Status } of managers) {
      const own = ID === Swarm.NodeID ? " (this node)" : "";
      const seen = ID === Swarm.NodeID ? "reachable" : ManagerStatus!.Reachability ?? "unknown";
      print(
        `   ${Spec?.Name || (Description?.Hostname ?? ID)}${own}: ${seen}, ${
          ManagerStatus!.Addr
        }, ${Status.State}`,
      );
    }
    print(`   ${fleet.Tolerance}`);
    const total = fleet.Managers ?? managers.length;
    const needed = Math.floor(total / 2) + 1;
    if ((fleet.ManagersReachable ?? 0) >= needed) {
      print("\nA majority answers: there is nothing to recover.");
      return EXIT.ok;
    }
    print("\n2. Bring managers back first, if that is possible at all:");
    print(`   ${needed} of ${total} make a majority, and then nothing is lost and nothing to do.`);
    print("   Start the machines, then the agents (systemctl start fleet), then check the network");
    print("   between them (TCP 2377). Containers go on running all the while.");
    print("\n3. If they are gone for good, this manager can go on alone:");
    print("   - it keeps all services, networks, secrets, configs and tokens that it knows;");
    print("   - a change that only lost managers had may be missing;");
    print("   - the other managers are workers to it from then on, and must leave and join again;");
    print("   - if one of them still runs somewhere with a majority, there would be two clusters.");
    if (flags.dryRun) {
      print("\nNothing was changed. To do it: fleet recover");
      return EXIT.ok;
    }
    await confirm(env, "\nGo on with this manager alone?", flags.yes);
    await client.post("/swarm/init", {
      body: { ForceNewCluster: true, AdvertiseAddr: flags.advertiseAddr ?? "" },
    });
    const after = await client.get<FleetInfo>("/fleet/info");
    print(`\nDone. ${after.Tolerance}.`);
    print('Next: "fleet node ls"; remove lost nodes with "fleet node rm --force NODE"; add two');
    print('managers with "fleet join-token manager"; then make a backup with "fleet backup FILE".');
    return EXIT.ok;
  },
};

function addresses(managers: readonly { readonly Addr: string }[] | null | undefined): string[] {
  return (managers ?? []).map(({ Addr }) => Addr);
}

/** What to do on a node that cannot recover anything. */
function elsewhere(state: string, error: string | undefined, managers: readonly string[]) {
  if (state === "active") {
    return [
      "This node is a worker; a cluster is recovered on one of its managers.",
      `It knows these managers: ${managers.join(", ") || "none"}.`,
      'If all managers are lost: "fleet leave --force" here, then "fleet restore FILE" from a backup.',
    ];
  }
  if (state === "locked") return ['This manager is locked: "fleet unlock" first.'];
  if (state === "error") {
    return [
      `This node's manager or worker does not run: ${error ?? "unknown"}`,
      "If that can be put right (room on the disk, a file's mode, a file from a backup), do, and restart the agent.",
      'While another manager runs: "fleet leave --force" here, and join again.',
      'If it was the only one: "fleet leave --force" here, then "fleet restore FILE" from a backup.',
    ];
  }
  return [
    "This node is in no cluster.",
    'From a backup: "fleet restore FILE". Otherwise run this on a manager that is left.',
  ];
}
