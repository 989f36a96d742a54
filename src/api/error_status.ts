import { FleetError, kindOf, messageOf } from "../base/errors.ts";
import type { ErrorKind } from "../base/errors.ts";

/** The one place where kinds of failure become HTTP statuses (Docker's, section 1.1 of its reference). */
const STATUS: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  "not-found": 404,
  conflict: 409,
  "out-of-sequence": 500,
  unauthorized: 401,
  forbidden: 403,
  unavailable: 503,
  unimplemented: 501,
  timeout: 500,
  canceled: 500,
  corrupt: 500,
  internal: 500,
};

/** Docker's managers answer over gRPC, and its clients match on what that adds to the sentence. */
const GRPC: Partial<Record<ErrorKind, string>> = {
  "out-of-sequence": "rpc error: code = Unknown desc = ",
};

/** Status and body of a failure, in Docker's shape. */
export function errorResponse(error: unknown): Response {
  const kind = kindOf(error);
  const known = error instanceof FleetError;
  const message = (GRPC[kind] ?? "") + (known ? error.message : messageOf(error));
  return Response.json({ message }, { status: known ? STATUS[kind] : 500 });
}
