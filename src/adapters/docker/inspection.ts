import type { PortConfig } from "../../model/service_spec.ts";

/** The part of `GET /containers/{id}/json` that fleet reads. */
export interface Inspection {
  readonly Id: string;
  readonly Config: { readonly Labels?: Readonly<Record<string, string>> | null };
  readonly State: {
    /** created, running, paused, restarting, removing, exited or dead. */
    readonly Status: string;
    readonly Running: boolean;
    readonly Restarting?: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
    readonly Error: string;
    /** Present when there is a health check, the image's own included. */
    readonly Health?: {
      readonly Status: string;
      readonly Log?: readonly { readonly Output: string }[] | null;
    };
  };
  readonly NetworkSettings: {
    readonly Ports?: Readonly<Record<string, readonly PortBinding[] | null>> | null;
    /** By name of the network; those of a container that has not started yet, too. */
    readonly Networks?: Readonly<Record<string, unknown>> | null;
  };
}

interface PortBinding {
  readonly HostPort: string;
}

/** A line of the health check's output that is worth repeating. */
const MAX_OUTPUT = 200;

/** Whether the program is not running and never will again. */
export function hasEnded({ State }: Inspection): boolean {
  return !State.Running && !State.Restarting;
}

/** Ports that the engine published on the host, with the ones that it chose itself. */
export function publishedPorts({ NetworkSettings }: Inspection): PortConfig[] {
  const ports: PortConfig[] = [];
  for (const [key, bindings] of Object.entries(NetworkSettings.Ports ?? {})) {
    const [target, protocol] = key.split("/");
    // One binding each for IPv4 and IPv6; the same port, unless the engine chose them one by one.
    for (const published of new Set((bindings ?? []).map(({ HostPort }) => Number(HostPort)))) {
      if (!published) continue;
      ports.push({
        Protocol: protocol ?? "tcp",
        TargetPort: Number(target),
        PublishedPort: published,
        PublishMode: "host",
      });
    }
  }
  return ports.sort((a, b) => (a.TargetPort ?? 0) - (b.TargetPort ?? 0));
}

/** Why an unhealthy container's task fails. */
export function unhealthySentence({ State }: Inspection): string {
  const output = State.Health?.Log?.at(-1)?.Output.trim();
  return `unhealthy container${output ? `: ${output.slice(0, MAX_OUTPUT)}` : ""}`;
}
