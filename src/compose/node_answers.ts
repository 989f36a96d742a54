import type { AgentOptions, BuildInfo } from "../../cli/environment.ts";
import { parseHostPort } from "../base/addresses.ts";
import { FleetError, messageOf } from "../base/errors.ts";
import type { Engine } from "../adapters/docker/engine.ts";
import { inspect } from "../adapters/crypto/certificates.ts";
import { engineJson } from "../adapters/docker/engine.ts";
import { disk, kernelFeatures, kernelVersion, mtuOf } from "../adapters/health/machine.ts";
import { echo, probe, reach } from "../adapters/health/paths.ts";
import type { Upgrader } from "../adapters/upgrade/upgrader.ts";
import type { LocalState } from "../api/backend.ts";
import { renewalTime } from "../core/pki/renewal_schedule.ts";
import type { OverlaySupport } from "../model/node.ts";
import type { NetworkState } from "../roles/agent/network_sync.ts";
import type { NodeAnswers } from "../roles/agent/questions.ts";
import type { TaskAnswer } from "../roles/task_answer.ts";

type OverlayCheck = (signal: AbortSignal) => Promise<OverlaySupport>;

interface Parts {
  readonly options: AgentOptions;
  readonly build: BuildInfo;
  readonly engine: Engine;
  readonly upgrader: Upgrader;
  readonly localState: () => LocalState;
  /** Of the agent while it runs. */
  readonly overlaySupport: () => OverlayCheck | undefined;
  readonly networks: () => NetworkState | undefined;
}

/** What this node says of itself to managers and on its own socket: what `doctor` and `upgrade` ask. */
export function nodeAnswers(parts: Parts): NodeAnswers {
  return {
    async answer(path, signal) {
      const [what = "", query = ""] = path.split("?", 2);
      const value = await answerOf(parts, what, new URLSearchParams(query), signal);
      return json(value);
    },
  };
}

async function answerOf(
  { options, build, engine, upgrader, localState, overlaySupport, networks }: Parts,
  what: string,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<unknown> {
  const { nodeAddr } = localState();
  switch (what) {
    case "about":
      return {
        Version: build.version,
        Commit: build.commit,
        TimeMs: Date.now(),
        Trial: upgrader.state().trial,
        RolledBack: upgrader.state().rolledBack,
      };
    case "health":
      return {
        Version: build.version,
        TimeMs: Date.now(),
        Engine: await engineHealth(engine, signal),
        Overlay: await overlayProblem(overlaySupport(), signal),
        Kernel: kernelFeatures(),
        KernelVersion: kernelVersion(),
        Networks: networksOf(networks()),
        Disks: [disk(options.dataDir)],
        Mtu: nodeAddr === "" ? 0 : mtuOf(nodeAddr),
        ...certificateLife(`${options.dataDir}/node.crt`),
        Trial: upgrader.state().trial,
        RolledBack: upgrader.state().rolledBack,
      };
    case "reach": {
      const { host, port } = parseHostPort(query.get("address") ?? "", 2377);
      return await reach(host, port);
    }
    case "echo":
      return { Port: echo(nodeAddr, Number(query.get("port") ?? 0)).port };
    case "probe": {
      const { host, port } = parseHostPort(query.get("address") ?? "", 4789);
      const mtu = Math.min(mtuOf(nodeAddr), Number(query.get("mtu")) || 1500);
      return await probe(nodeAddr, host, port, mtu);
    }
    case "upgrade": {
      const request = {
        source: query.get("source") ?? "",
        version: query.get("version") || undefined,
        channel: query.get("channel") || undefined,
        force: query.get("force") === "true",
      };
      const { from, to } = query.get("check") === "true"
        ? await upgrader.check(request)
        : await upgrader.upgrade(request);
      return { From: from, To: to };
    }
  }
  throw new FleetError("forbidden", `"${what}" is nothing that a node answers`);
}

async function engineHealth(engine: Engine, signal: AbortSignal) {
  try {
    const info = await engineJson<
      {
        ServerVersion: string;
        DockerRootDir: string;
        OperatingSystem?: string;
        Driver?: string;
        CgroupDriver?: string;
        CgroupVersion?: string;
        Swarm?: { LocalNodeState?: string };
      }
    >(engine, "GET", "/info", { signal });
    const swarm = info.Swarm?.LocalNodeState ?? "inactive";
    return {
      Version: info.ServerVersion,
      OperatingSystem: info.OperatingSystem ?? "",
      StorageDriver: info.Driver ?? "",
      Cgroups: `cgroups v${info.CgroupVersion ?? "1"}${
        info.CgroupDriver ? ` by ${info.CgroupDriver}` : ""
      }`,
      Problem: swarm === "inactive" ? "" : `the engine's own swarm mode is ${swarm}`,
      Disk: diskOr(info.DockerRootDir),
    };
  } catch (error) {
    return { Version: "", Problem: messageOf(error), Disk: undefined };
  }
}

function networksOf(state: NetworkState | undefined) {
  if (!state) return undefined;
  const { mesh = "", drift, audits, networks, problems } = state;
  return { Mesh: mesh, Drift: drift, Audits: audits, Count: networks, Problems: problems };
}

function diskOr(path: string) {
  try {
    return disk(path);
  } catch {
    // An engine elsewhere keeps its files elsewhere.
    return undefined;
  }
}

/** Milliseconds since 1970; the end is 0 where there is no certificate. */
function certificateLife(path: string) {
  try {
    const life = inspect(Deno.readTextFileSync(path));
    return { CertificateUntilMs: life.notAfterMs, CertificateDueMs: renewalTime(life, 1) };
  } catch {
    return { CertificateUntilMs: 0 };
  }
}

async function overlayProblem(check: OverlayCheck | undefined, signal: AbortSignal) {
  try {
    return (await check?.(signal))?.Problem ?? "";
  } catch (error) {
    return messageOf(error);
  }
}

function json(value: unknown): TaskAnswer {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return {
    status: 200,
    contentType: "application/json",
    body: (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  };
}
