import { NS_PER_MS } from "../../src/base/duration.ts";
import { FleetError } from "../../src/base/errors.ts";
import type { LabLink } from "../environment.ts";
import type { FleetCommand } from "../fleet_command.ts";
import { parseNonNegativeDuration } from "../spec/values.ts";

export interface LabFlags {
  readonly name?: string;
}

const DEFAULT_NAME = "lab";
const MAX_NAME = 8;

export function addNameFlag(command: FleetCommand): FleetCommand {
  return command.value("--name <string>", `Name of the lab (default ${DEFAULT_NAME})`);
}

/** The lab's name, which becomes part of device and namespace names. @throws FleetError invalid */
export function labName(flags: LabFlags): string {
  const name = flags.name ?? DEFAULT_NAME;
  if (!new RegExp(`^[a-z][a-z0-9]{0,${MAX_NAME - 1}}$`).test(name)) {
    throw new FleetError(
      "invalid",
      `lab name "${name}": 1 to ${MAX_NAME} lower-case letters and digits, beginning with a letter`,
    );
  }
  return name;
}

export interface LinkFlags {
  readonly delay?: number;
  readonly loss?: number;
}

export function addLinkFlags(command: FleetCommand): FleetCommand {
  return command
    .value(
      "--delay <duration>",
      "Hold every packet to a host back for so long",
      parseNonNegativeDuration,
    )
    .value("--loss <percent>", "Lose so many packets of a hundred to a host", percent);
}

export function linkOf({ delay, loss }: LinkFlags): LabLink {
  return {
    ...(delay === undefined ? {} : { delayMs: delay / NS_PER_MS }),
    ...(loss === undefined ? {} : { lossPercent: loss }),
  };
}

function percent(text: string): number {
  const value = Number(text.replace(/%$/, ""));
  if (text !== "" && value >= 0 && value <= 100) return value;
  throw new FleetError("invalid", `"${text}" is no percentage from 0 to 100`);
}
