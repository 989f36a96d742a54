import { FleetError } from "../../src/base/errors.ts";
import type { FleetCommand } from "../fleet_command.ts";

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
