/** What two members say of themselves before the first raft message, each on the same stream. */
import { FleetError } from "../../base/errors.ts";
import type { Run } from "./raft_transport.ts";

const MAX_NAME_CHARS = 64;

export function helloOf({ joinedIndex, starts, name }: Run): unknown {
  return { hello: { joinedIndex, starts, name } };
}

/** @throws FleetError invalid for anything but a hello */
export function readHello(value: unknown): Run {
  const hello = isObject(value) ? value["hello"] : undefined;
  if (isObject(hello)) {
    const { joinedIndex, starts, name } = hello;
    if (
      isCount(joinedIndex) && isCount(starts) && typeof name === "string" &&
      name.length <= MAX_NAME_CHARS
    ) return { joinedIndex, starts, name };
  }
  throw new FleetError("invalid", "a member has to say first which start of its data it is");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
