import { FleetError } from "../../base/errors.ts";
import type { StackFile } from "./stack_file.ts";

/** What makes objects one stack, for every client. */
export const STACK_LABEL = "com.docker.stack.namespace";
/** On a service: its image as the file has it. */
export const IMAGE_LABEL = "com.docker.stack.image";

/** @throws FleetError invalid */
export function checkStackName(name: string): void {
  if (!/^[a-zA-Z0-9][\w-]{0,62}$/.test(name)) {
    throw new FleetError(
      "invalid",
      `invalid stack name "${name}": it becomes part of the services' names, so letters, digits, - and _ only`,
    );
  }
}

/** The cluster's name of a network that the file calls `key`. */
export function networkName(stack: string, key: string, file: StackFile): string {
  return nameOf(stack, key, file.networks[key]);
}

/** `name` as it stands, the key of what is outside, the prefixed key of what is the stack's own. */
export function nameOf(
  stack: string,
  key: string,
  entry: { readonly name?: string; readonly external?: boolean } | undefined,
): string {
  return entry?.name ?? (entry?.external ? key : `${stack}_${key}`);
}
