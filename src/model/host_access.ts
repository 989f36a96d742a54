import { FleetError } from "../base/errors.ts";
import type { Policy } from "./cluster.ts";
import type { ContainerSpec } from "./container_spec.ts";

/**
 * What Docker's service spec has no field for is asked for by labels of the container: stock clients and
 * compose files can write them, an update by a client that knows nothing of them keeps them, and a
 * change of one replaces the tasks as any other change of the container does.
 */
export const PRIVILEGED_LABEL = "fleet.privileged";
/** `/dev/fuse`, or `/dev/sda:/dev/disk:rw`; several with commas. */
export const DEVICES_LABEL = "fleet.devices";

export interface HostDevice {
  readonly host: string;
  readonly container: string;
  /** Of `r`, `w` and `m`. */
  readonly permissions: string;
}

/** @throws FleetError invalid for a label that is neither true nor false */
export function isPrivileged({ Labels }: ContainerSpec): boolean {
  const text = Labels?.[PRIVILEGED_LABEL] ?? "false";
  if (text !== "true" && text !== "false") {
    throw new FleetError("invalid", `${PRIVILEGED_LABEL}: true or false, not "${text}"`);
  }
  return text === "true";
}

/** The devices that a container asks for. @throws FleetError invalid */
export function devicesOf({ Labels }: ContainerSpec): HostDevice[] {
  return (Labels?.[DEVICES_LABEL] ?? "").split(",").map((text) => text.trim()).filter(Boolean)
    .map(parseDevice);
}

/** `HOST[:CONTAINER][:PERMISSIONS]`, as `docker run --device`. @throws FleetError invalid */
export function parseDevice(text: string): HostDevice {
  const parts = text.split(":");
  const [host = "", second, third] = parts;
  const isPath = (part: string | undefined) => part?.startsWith("/") ?? false;
  const container = isPath(second) ? second! : host;
  const permissions = (isPath(second) ? third : second) ?? "rwm";
  if (
    !isPath(host) || parts.length > (isPath(second) ? 3 : 2) || !/^[rwm]{1,3}$/.test(permissions)
  ) {
    throw new FleetError(
      "invalid",
      `device "${text}": write it as /dev/NAME[:/dev/NAME-INSIDE][:rwm]`,
    );
  }
  return { host, container, permissions };
}

/** The long form, which {@link parseDevice} reads. */
export function deviceText({ host, container, permissions }: HostDevice): string {
  return `${host}:${container}:${permissions}`;
}

/**
 * Refuses a container that asks for more of its host than the cluster's policy gives.
 * @throws FleetError forbidden, invalid
 */
export function checkHostAccess(container: ContainerSpec, policy: Policy | undefined): void {
  if (isPrivileged(container) && !policy?.Privileged) {
    throw new FleetError(
      "forbidden",
      "privileged containers are not allowed on this cluster; " +
        "whoever may: fleet policy set --privileged",
    );
  }
  const [device] = devicesOf(container);
  if (device && !policy?.Devices) {
    throw new FleetError(
      "forbidden",
      `devices of the host (${device.host}) are not allowed on this cluster; ` +
        "whoever may: fleet policy set --devices",
    );
  }
}
