import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import { ApiError } from "../client.ts";
import { confirm } from "../confirm.ts";
import { ensureAgent } from "../ensure_agent.ts";
import { choice, parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { joinInstructions, managerAddress, unlockInstructions } from "./join_command.ts";
import { addExternalCaFlag, addSettingsFlags, changedSettings, withCaFiles } from "./settings.ts";
import type { SettingsFlags } from "./settings.ts";

interface Flags extends SettingsFlags {
  readonly advertiseAddr?: string;
  readonly listenAddr?: string;
  readonly dataPathAddr?: string;
  readonly dataPathPort?: number;
  readonly forceNewCluster?: boolean;
  readonly yes?: boolean;
  readonly availability?: string;
  readonly defaultAddrPool?: readonly string[];
  readonly defaultAddrPoolMaskLength?: number;
}

export const verb: Verb<Flags> = {
  define(command) {
    command
      .value("--advertise-addr <address>", "Address that other nodes use (ip or interface[:port])")
      .value("--listen-addr <address>", "Address to listen on (default the agent's)")
      .value("--data-path-addr <address>", "Address for traffic between containers")
      .value("--data-path-port <uint>", "UDP port for that traffic (default 4789)", parseUint)
      .flag("--force-new-cluster", "Start over from this node's state, without the other managers")
      .flag("-y, --yes", "With --force-new-cluster: ask nothing")
      .value(
        "--availability <word>",
        "active, pause or drain (default active)",
        choice("active", "pause", "drain"),
      )
      .list("--default-addr-pool <cidr>", "Addresses that networks are cut from")
      .value(
        "--default-addr-pool-mask-length <uint>",
        "Prefix length of a network (default 24)",
        parseUint,
      );
    addExternalCaFlag(addSettingsFlags(command, true))
      .examples("fleet init", "fleet init --advertise-addr 192.168.10.5");
  },
  async run(context, _args, given) {
    const { client, env } = context;
    const flags = { ...given, ...await withCaFiles(given, (path) => env.readFile(path)) };
    if (flags.defaultAddrPoolMaskLength !== undefined && !flags.defaultAddrPool) {
      throw new FleetError(
        "invalid",
        "--default-addr-pool-mask-length goes only with --default-addr-pool",
      );
    }
    if (flags.forceNewCluster) {
      const question =
        "Go on alone? The other managers are no part of the cluster any more, and what only they know is lost.";
      await confirm(env, question, flags.yes);
    }
    await ensureAgent(context);
    const { autolock, ...settings } = flags;
    const id = await initialise(client.post<string>("/swarm/init", {
      body: {
        ListenAddr: flags.listenAddr ?? "",
        AdvertiseAddr: flags.advertiseAddr ?? "",
        DataPathAddr: flags.dataPathAddr ?? "",
        DataPathPort: flags.dataPathPort ?? 0,
        ForceNewCluster: flags.forceNewCluster ?? false,
        AutoLockManagers: autolock ?? false,
        Availability: flags.availability ?? "active",
        DefaultAddrPool: flags.defaultAddrPool ?? [],
        SubnetSize: flags.defaultAddrPoolMaskLength ?? (flags.defaultAddrPool ? 24 : 0),
        Spec: changedSettings({}, settings),
      },
    }));
    context.print(`Swarm initialized: current node (${id}) is now a manager.`);
    const [swarm, { address }] = await Promise.all([
      client.get<ApiSwarm>("/swarm"),
      managerAddress(client),
    ]);
    env.stdout.write(`\n${joinInstructions("worker", swarm.JoinTokens.Worker, address)}\n`);
    context.print(
      "To add a manager to this swarm, run 'fleet join-token manager' and follow the instructions.",
    );
    context.print("");
    if (!autolock) return;
    const { UnlockKey } = await client.get<{ UnlockKey: string }>("/swarm/unlockkey");
    env.stdout.write(unlockInstructions(UnlockKey));
  },
};

/** Adds the way out to a refusal for want of an address. */
async function initialise(answer: Promise<string>): Promise<string> {
  try {
    return await answer;
  } catch (error) {
    const noAddress = error instanceof ApiError &&
      /could not choose an IP address to advertise|could not find the system's IP address/
        .test(error.message);
    if (!noAddress || error.message.includes("--advertise-addr")) throw error;
    throw new ApiError(error.status, `${error.message} - specify one with --advertise-addr`);
  }
}
