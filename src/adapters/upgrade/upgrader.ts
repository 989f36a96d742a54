import { FleetError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { compareVersions } from "../../base/versions.ts";
import { obtain, resolveVersion } from "./release.ts";
import type { ReleaseRequest } from "./release.ts";
import { guardPath, placesOf, quoted, stage, swap, versionOf } from "./swap.ts";

export interface UpgraderOptions {
  /** The file that this process was started from; undefined when it runs from source. */
  readonly executable: string | undefined;
  /** The arguments that the agent is started with again where nobody else does it. */
  readonly agentArgs: readonly string[];
  readonly dataDir: string;
  readonly version: string;
  readonly variable: (name: string) => string | undefined;
  readonly logger: Logger;
  /** Ends this process in good order. */
  readonly stop: () => void;
}

export interface UpgradeRequest extends Partial<ReleaseRequest> {
  /** Also to a version that is further apart. */
  readonly force?: boolean;
}

const RELEASE_KEY = "/etc/fleet/release.pem";
/** The answer leaves before the process does. */
const STOP_DELAY_MS = 300;

/** Puts another executable in the place of this agent's and has it started. */
export class Upgrader {
  readonly #options: UpgraderOptions;
  #busy = false;

  constructor(options: UpgraderOptions) {
    this.#options = options;
  }

  /** Whether this executable still has to prove itself, and which one was put away, if one was. */
  state(): { readonly trial: boolean; readonly rolledBack: string } {
    const { executable } = this.#options;
    if (executable === undefined) return { trial: false, rolledBack: "" };
    const { trial, rolledBack } = placesOf(executable);
    return { trial: textOf(trial) !== undefined, rolledBack: versionIn(textOf(rolledBack)) };
  }

  /** This executable has proven itself. */
  confirm(): void {
    const { executable, logger, version } = this.#options;
    if (executable === undefined) return;
    try {
      Deno.removeSync(placesOf(executable).trial);
      logger.log("info", `the upgrade to ${version} is done`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** What an upgrade would install. @throws FleetError */
  async check(request: UpgradeRequest): Promise<{ from: string; to: string }> {
    const source = this.#source(request);
    const isFile = await resolveVersion(source) === "";
    // Of a file at a URL nothing is known before it is here.
    const version = !isFile
      ? await resolveVersion(source)
      : source.source.includes("://")
      ? ""
      : await versionOf(source.source);
    if (version !== "") this.#refuseDistance(version, request.force);
    return { from: this.#options.version, to: version };
  }

  /** Fetches, checks, swaps; the process ends soon after. @throws FleetError and changes nothing */
  async upgrade(request: UpgradeRequest): Promise<{ from: string; to: string }> {
    const { executable, dataDir, version, logger, stop } = this.#options;
    if (executable === undefined) {
      throw new FleetError("unavailable", "this agent runs from source: there is nothing to swap");
    }
    if (this.#busy) throw new FleetError("conflict", "this node is being upgraded already");
    this.#busy = true;
    let staged = "";
    try {
      const release = await obtain(this.#source(request), {
        arch: Deno.build.arch,
        releaseKey: textOf(this.#options.variable("FLEET_RELEASE_KEY_FILE") || RELEASE_KEY),
      });
      staged = await stage(executable, release.bytes);
      const to = await versionOf(staged);
      if (release.version !== "" && release.version !== to) {
        throw new FleetError("invalid", `the release is ${release.version}, but says it is ${to}`);
      }
      this.#refuseDistance(to, request.force);
      await swap(executable, staged, to, dataDir);
      logger.log("info", `upgrading from ${version} to ${to}`);
      this.#arrangeStart(executable);
      setTimeout(stop, STOP_DELAY_MS);
      return { from: version, to };
    } catch (error) {
      this.#busy = false;
      if (staged !== "") await Deno.remove(staged).catch(() => {});
      throw error;
    }
  }

  #source(request: UpgradeRequest): ReleaseRequest {
    const source = request.source || this.#options.variable("FLEET_RELEASES");
    if (!source) {
      throw new FleetError(
        "invalid",
        "this node knows no release server: give --from FILE|URL, or set FLEET_RELEASES in /etc/default/fleet",
      );
    }
    return { source, version: request.version, channel: request.channel };
  }

  #refuseDistance(to: string, force: boolean | undefined): void {
    const { version } = this.#options;
    const { minors, sameMajor } = compareVersions(version, to);
    if (force || (sameMajor && minors <= 1)) return;
    throw new FleetError(
      "invalid",
      `${version} and ${to} are more than one minor version apart: upgrade step by step, or give --force`,
    );
  }

  /**
   * A service manager starts what ended. Where there is none, a shell stays behind that does so until the
   * trial is over.
   */
  #arrangeStart(executable: string): void {
    const { variable, dataDir, agentArgs } = this.#options;
    if (variable("NOTIFY_SOCKET") || variable("FLEET_SUPERVISED")) return;
    const { trial } = placesOf(executable);
    const script = `
while kill -0 ${Deno.pid} 2>/dev/null; do sleep 0.1; done
while :; do
  sh ${quoted(guardPath(dataDir))}
  "$@"
  code=$?
  [ -f ${quoted(trial)} ] || [ -f ${quoted(`${trial}.new`)} ] || exit $code
  sleep 0.2
done`;
    new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `exec >>${quoted(`${dataDir}/agent.log`)} 2>&1\n${script}`,
        "fleet-upgrade",
        executable,
        "agent",
        ...agentArgs,
      ],
      cwd: "/",
      detached: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn().unref();
  }
}

function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

const versionIn = (text: string | undefined) => text?.split(/\s/, 1)[0] ?? "";
