import { isIP } from "../base/addresses.ts";
import { parseCidr } from "../base/cidr.ts";
import { FleetError } from "../base/errors.ts";
import { decode, int, list, obj, str } from "./json.ts";
import { NodeDescription } from "./node.ts";
import type { NodeDescription as Description } from "./node.ts";
import type { FromAgent, TaskStatusUpdate } from "./session.ts";
import { MAX_STATUS_BATCH } from "./session.ts";
import { TaskStatus } from "./task.ts";
import type { TaskStatus as Status } from "./task.ts";

/** Longest description of a node, as JSON; one with many plugins and labels has a few KiB. */
const MAX_DESCRIPTION = 64 * 1024;
/** As long as a DNS name may be. */
const MAX_HOSTNAME = 253;
const MAX_SUBNETS = 256;
/** Sentences about its networks. */
const MAX_PROBLEMS = 16;
const MAX_PORTS = 1_000;
const CONTAINER_ID = /^[0-9A-Za-z_.-]{0,128}$/;

const Update = obj({ taskId: str, status: TaskStatus });
const Hello = obj({ description: NodeDescription });
const Applied = obj({ sequence: int });
const Statuses = obj({ updates: list(Update) });

/**
 * What a node said, looked at before anything is done with it: a node is root on its own machine only. What
 * it says of itself is stored, shown to people, and (its address) given to the tools of other nodes.
 * @throws FleetError invalid, naming the field
 */
export function decodeFromAgent(raw: unknown): FromAgent {
  const { type } = (typeof raw === "object" && raw !== null ? raw : {}) as { type?: unknown };
  switch (type) {
    case "heartbeat":
    case "restarting":
      return { type };
    case "applied":
      return { type, sequence: decode(Applied, raw, "applied").sequence };
    case "hello":
      return { type, description: checked(decode(Hello, raw, "hello").description) };
    case "status": {
      const { updates } = raw as { updates?: unknown };
      if (Array.isArray(updates) && updates.length > MAX_STATUS_BATCH) {
        throw new FleetError("invalid", `updates: at most ${MAX_STATUS_BATCH} at once`);
      }
      return { type, updates: decode(Statuses, raw, "status").updates.map(checkedUpdate) };
    }
    default:
      throw new FleetError("invalid", "unknown message");
  }
}

function checked(description: Description): Description {
  const size = JSON.stringify(description).length;
  if (size > MAX_DESCRIPTION) {
    throw new FleetError(
      "invalid",
      `description: ${size} bytes are more than the ${MAX_DESCRIPTION} that a node may say of itself`,
    );
  }
  const { Hostname, Overlay } = description;
  if (Overlay?.Addr && !isIP(Overlay.Addr)) {
    throw new FleetError("invalid", "Overlay.Addr: expected an IP address");
  }
  for (const field of ["Subnets", "Routes"] as const) {
    const subnets = Overlay?.[field] ?? [];
    if (subnets.length > MAX_SUBNETS || subnets.some((text) => parseCidr(text) === undefined)) {
      throw new FleetError("invalid", `Overlay.${field}: expected at most ${MAX_SUBNETS} subnets`);
    }
  }
  return {
    ...description,
    ...(Hostname === undefined ? {} : { Hostname: printable(Hostname).slice(0, MAX_HOSTNAME) }),
    ...(Overlay?.Problems
      ? {
        Overlay: { ...Overlay, Problems: Overlay.Problems.slice(0, MAX_PROBLEMS).map(printable) },
      }
      : {}),
  };
}

function checkedUpdate({ taskId, status }: TaskStatusUpdate): TaskStatusUpdate {
  const { Timestamp, ContainerStatus, PortStatus } = status;
  const wrong = (what: string) => new FleetError("invalid", `status of task ${taskId}: ${what}`);
  if (!/^[0-9A-Za-z_-]{1,64}$/.test(taskId)) throw new FleetError("invalid", "taskId: no id");
  if (Timestamp !== undefined && (Timestamp.length > 64 || Number.isNaN(Date.parse(Timestamp)))) {
    throw wrong("Timestamp: expected a time");
  }
  if (!CONTAINER_ID.test(ContainerStatus?.ContainerID ?? "")) throw wrong("ContainerID: no id");
  if ((PortStatus?.Ports?.length ?? 0) > MAX_PORTS) throw wrong("more ports than a task can have");
  return { taskId, status: status as Status };
}

/** Without what a terminal would obey. */
function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "?");
}
