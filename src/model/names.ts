import { FleetError } from "../base/errors.ts";

const OBJECT_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;
const FILE_OBJECT_NAME = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9\-_.]*[a-zA-Z0-9])?$/;
const MAX_NAME = 63;
const MAX_FILE_OBJECT_NAME = 64;

/** Names of services, networks and the cluster, as SwarmKit restricts them. @throws FleetError invalid */
export function checkName(what: string, name: string | undefined): void {
  if (!name) throw new FleetError("invalid", `${what} needs a name`);
  if (name.length > MAX_NAME) {
    throw new FleetError("invalid", `${what} name "${name}" is longer than ${MAX_NAME} characters`);
  }
  if (!OBJECT_NAME.test(name)) {
    throw new FleetError(
      "invalid",
      `invalid ${what} name "${name}": only letters, digits, - and _ are allowed, and it starts and ends with a letter or digit`,
    );
  }
}

/** Names of secrets and configs, which may hold dots. @throws FleetError invalid */
export function checkFileObjectName(what: string, name: string | undefined): void {
  if (!name || name.length > MAX_FILE_OBJECT_NAME || !FILE_OBJECT_NAME.test(name)) {
    throw new FleetError(
      "invalid",
      `invalid ${what} name "${
        name ?? ""
      }": 1 to ${MAX_FILE_OBJECT_NAME} letters, digits, -, _ and ., starting and ending with a letter or digit`,
    );
  }
}
