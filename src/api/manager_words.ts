import { FleetError, kindOf, messageOf } from "../base/errors.ts";
import type { ErrorKind } from "../base/errors.ts";
import { withCall } from "./actor.ts";
import type { Backend } from "./backend.ts";

/**
 * Docker's daemon speaks to its managers over gRPC, and what they refuse reaches its clients with that
 * protocol's words in front. Scripts match on the whole sentence, so fleet's managers' refusals have them too;
 * fleet's own commands leave them out again.
 */
const CODES: Partial<Record<ErrorKind, string>> = {
  invalid: "InvalidArgument",
  "not-found": "NotFound",
  conflict: "AlreadyExists",
  "out-of-sequence": "Unknown",
  forbidden: "PermissionDenied",
  unimplemented: "Unimplemented",
  internal: "Unknown",
};

/** The same backend; refusals of its `call` are worded as Docker's managers' are. */
export function inManagersWords(backend: Backend): Backend {
  const call: Backend["call"] = async (...args) => {
    try {
      return await backend.call(...args);
    } catch (error) {
      const code = error instanceof FleetError ? CODES[kindOf(error)] : undefined;
      if (code === undefined || messageOf(error).includes("rpc error: ")) throw error;
      const message = `rpc error: code = ${code} desc = ${messageOf(error)}`;
      throw new FleetError(kindOf(error), message, { cause: error });
    }
  };
  return withCall(backend, call);
}
