import { FleetError } from "../base/errors.ts";
import type { LogLevel } from "../base/log.ts";

const LEVELS: readonly string[] = ["debug", "info", "warn", "error"] satisfies LogLevel[];

/**
 * FLEET_LOG_LEVEL in the text of a settings file (`NAME=value` lines, as a service manager reads them);
 * undefined where it is not set. The last one counts.
 *
 * @throws FleetError invalid for a word that is no level
 */
export function settingsLogLevel(text: string, path: string): LogLevel | undefined {
  const value = [...text.matchAll(/^[ \t]*FLEET_LOG_LEVEL[ \t]*=[ \t]*(.*?)[ \t]*$/gm)].at(-1)?.[1]
    ?.replace(/^(["'])(.*)\1$/, "$2");
  if (value === undefined || value === "") return undefined;
  if (LEVELS.includes(value)) return value as LogLevel;
  throw new FleetError(
    "invalid",
    `${path}: FLEET_LOG_LEVEL "${value}" is none of ${LEVELS.join(", ")}`,
  );
}
