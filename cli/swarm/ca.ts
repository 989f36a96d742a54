import { FleetError } from "../../src/base/errors.ts";
import type { ClusterSpec } from "../../src/model/cluster.ts";
import type { ApiNode, ApiSwarm } from "../api_types.ts";
import { progressDisplay } from "../render/progress_display.ts";
import { parseNonNegativeDuration } from "../spec/values.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { rotationLines } from "./ca_progress.ts";
import { addExternalCaFlag, withCaFiles } from "./settings.ts";
import type { SettingsFlags } from "./settings.ts";

interface Flags extends SettingsFlags {
  readonly rotate?: boolean;
  readonly caCert?: string;
  readonly caKey?: string;
  readonly detach?: boolean;
  readonly quiet?: boolean;
}

/** Time between two looks at a rotation, as Docker's client has it. */
const POLL_MS = 200;

export const verb: Verb<Flags> = {
  define(command) {
    command.flag("--rotate", "Change the root CA")
      .value("--ca-cert <path>", "PEM file of the new root certificate")
      .value("--ca-key <path>", "PEM file of its key")
      .value("--cert-expiry <duration>", "Life of node certificates", parseNonNegativeDuration)
      .flag("-d, --detach", "Do not wait until every node has its new certificate")
      .flag("-q, --quiet", "Wait, but show no progress");
    addExternalCaFlag(command)
      .examples(
        "fleet ca",
        "fleet ca --rotate",
        "fleet ca --rotate --ca-cert ca.pem --ca-key k.pem",
      );
  },
  async run(context, _args, flags) {
    checkFlags(flags);
    const { client, env } = context;
    const swarm = await client.get<ApiSwarm>("/swarm");
    if (!flags.rotate) return printRoot(context, swarm);
    const read = async (path: string | undefined) =>
      path === undefined ? undefined : new TextDecoder().decode(await env.readFile(path));
    const files = { cert: await read(flags.caCert), key: await read(flags.caKey) };
    const settings = await withCaFiles(flags, (path) => env.readFile(path));
    await client.post("/swarm/update", {
      query: { version: swarm.Version.Index },
      body: { ...swarm.Spec, CAConfig: rotatedConfig(swarm.Spec.CAConfig, settings, files) },
    });
    if (flags.detach) return;
    const finished = await waitForRotation(context, flags.quiet === true);
    if (finished) printRoot(context, await client.get<ApiSwarm>("/swarm"));
  },
};

function checkFlags(flags: Flags): void {
  const { rotate, detach: _detach, quiet: _quiet, ...others } = flags;
  if (!rotate && Object.keys(others).length > 0) {
    throw new FleetError("invalid", "these flags change the root CA: add --rotate");
  }
  if (flags.externalCa && !flags.caCert) {
    throw new FleetError("invalid", "--external-ca goes only with --ca-cert, its root certificate");
  }
  if (flags.caKey && !flags.caCert) {
    throw new FleetError("invalid", "--ca-key goes only with --ca-cert");
  }
  if (flags.caCert && !flags.caKey && !flags.externalCa) {
    throw new FleetError(
      "invalid",
      "--ca-cert needs --ca-key or an --external-ca that signs for it",
    );
  }
}

/** The CA settings that start a rotation: to the given root, or to a new one. */
export function rotatedConfig(
  now: ClusterSpec["CAConfig"],
  flags: SettingsFlags,
  files: { cert: string | undefined; key: string | undefined },
): NonNullable<ClusterSpec["CAConfig"]> {
  const { SigningCACert: _cert, SigningCAKey: _key, ...rest } = now ?? {};
  return {
    ...rest,
    ...(flags.certExpiry === undefined ? {} : { NodeCertExpiry: flags.certExpiry }),
    ...(flags.externalCa ? { ExternalCAs: flags.externalCa } : {}),
    ...(files.cert === undefined
      ? { ForceRotate: (now?.ForceRotate ?? 0) + 1 }
      : { SigningCACert: files.cert }),
    ...(files.key === undefined ? {} : { SigningCAKey: files.key }),
  };
}

function printRoot({ env }: VerbContext, swarm: ApiSwarm): void {
  const root = swarm.TLSInfo?.TrustRoot;
  if (!root) throw new FleetError("unavailable", "the cluster has told no trust root yet");
  env.stdout.write(root.endsWith("\n") ? root : `${root}\n`);
}

/** Resolves to whether the rotation has ended; Ctrl-C ends only the wait. */
async function waitForRotation(context: VerbContext, quiet: boolean): Promise<boolean> {
  const { client, env } = context;
  const display = quiet ? undefined : progressDisplay(env.stdout);
  const controller = new AbortController();
  const stop = env.onInterrupt(() => controller.abort());
  try {
    for (;;) {
      const [swarm, nodes] = await Promise.all([
        client.get<ApiSwarm>("/swarm"),
        client.get<ApiNode[]>("/nodes"),
      ]);
      display?.show(await rotationLines(swarm, nodes));
      if (!swarm.RootRotationInProgress) return true;
      await env.sleep(POLL_MS, controller.signal);
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    context.print("Operation continuing in background.");
    context.print("Use `fleet node ls --format '{{.Hostname}} {{.TLSStatus}}'` to check progress.");
    return false;
  } finally {
    stop();
  }
}
