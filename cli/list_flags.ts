import type { FleetCommand } from "./fleet_command.ts";

/** What `ls` and `ps` verbs have in common. */
export interface ListFlags {
  readonly quiet?: boolean;
  readonly format?: string;
  readonly filter?: readonly string[];
}

export function addListFlags(command: FleetCommand): FleetCommand {
  return command
    .list("-f, --filter <filter>", "Show only what matches (key=value)")
    .value("--format <string>", "table, 'table TEMPLATE', json, yaml, or a Go template")
    .flag("-q, --quiet", "Print ids only");
}

/** What `inspect` verbs have in common. */
export interface InspectFlags {
  readonly format?: string;
  readonly pretty?: boolean;
}

export function addInspectFlags(command: FleetCommand, pretty = true): FleetCommand {
  command.value("-f, --format <string>", "json, yaml, or a Go template for each object");
  if (pretty) command.flag("--pretty", "Print in words instead of JSON");
  return command;
}
