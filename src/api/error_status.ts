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

/** Status and body of a failure, in Docker's shape. */
export function errorResponse(error: unknown): Response {
  const known = error instanceof FleetError;
  return Response.json({ message: messageOf(error) }, {
    status: known ? STATUS[kindOf(error)] : 500,
  });
}
