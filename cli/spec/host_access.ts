import { DEVICES_LABEL, parseDevice, PRIVILEGED_LABEL } from "../../src/model/host_access.ts";
import type { ServiceFlags } from "./service_flags.ts";

type Labels = Readonly<Record<string, string>>;

/**
 * A container's labels with `--privileged` and `--device` in them, which Docker's spec has no fields for.
 * An empty device takes all away. @throws FleetError invalid
 */
export function withHostAccess(
  labels: Labels | undefined,
  { privileged, device }: Pick<ServiceFlags, "privileged" | "device">,
): Labels | undefined {
  if (privileged === undefined && device === undefined) return labels;
  const next: Record<string, string> = { ...labels };
  if (privileged === true) next[PRIVILEGED_LABEL] = "true";
  if (privileged === false) delete next[PRIVILEGED_LABEL];
  const devices = device?.filter((text) => text !== "");
  devices?.forEach(parseDevice);
  if (devices && devices.length > 0) next[DEVICES_LABEL] = devices.join(",");
  else if (devices) delete next[DEVICES_LABEL];
  return next;
}
