import { FleetError, messageOf } from "../src/base/errors.ts";
import { EXIT } from "./exit_codes.ts";
import { ApiError, ConnectError } from "./client.ts";
import type { InspectFlags } from "./list_flags.ts";
import type { VerbContext } from "./verb.ts";

/**
 * Acts on each reference in turn and prints those that went well; failures are told at the end and make
 * the exit code 1. An agent that is gone ends it at once.
 */
export async function forEachReference(
  context: VerbContext,
  references: readonly string[],
  act: (reference: string) => Promise<void>,
): Promise<number> {
  const failures: string[] = [];
  for (const reference of new Set(references)) {
    try {
      await act(reference);
      context.print(reference);
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      failures.push(errorLine(error));
    }
  }
  for (const failure of failures) context.warn(failure);
  return failures.length > 0 ? EXIT.failed : EXIT.ok;
}

/** Fetches each reference, prints what was found, then what was not. */
export async function inspectEach<T>(
  context: VerbContext,
  references: readonly string[],
  flags: InspectFlags,
  get: (reference: string) => Promise<T>,
  pretty?: (object: T) => string | Promise<string>,
): Promise<number> {
  if (flags.pretty && flags.format) {
    throw new FleetError("invalid", "--pretty and --format exclude each other");
  }
  const found: T[] = [];
  const failures: string[] = [];
  for (const reference of references) {
    try {
      found.push(await get(reference));
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      failures.push(errorLine(error));
    }
  }
  if (flags.pretty && pretty) {
    const blocks: string[] = [];
    for (const object of found) blocks.push(await pretty(object));
    context.env.stdout.write(blocks.join("\n"));
  } else {
    const { renderInspect } = await import("./render/inspect.ts");
    context.env.stdout.write(renderInspect(found, flags.format));
  }
  for (const failure of failures) context.warn(failure);
  return failures.length > 0 ? EXIT.failed : EXIT.ok;
}

/** One failure as `reportFailure` words it. */
export function errorLine(error: unknown): string {
  return error instanceof ApiError
    ? `Error response from daemon: ${error.message}`
    : `error: ${messageOf(error)}`;
}
