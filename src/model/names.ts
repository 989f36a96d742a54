import { FleetError } from "../base/errors.ts";

const OBJECT_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;
const FILE_OBJECT_NAME = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9\-_.]*[a-zA-Z0-9])?$/;
/** Those of hosts, too. */
const NODE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/;
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;
const MAX_NODE_NAME = 253;
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

/** The name that a node is given; without one it goes by its host name. @throws FleetError invalid */
export function checkNodeName(name: string | undefined): void {
  if (!name || (NODE_NAME.test(name) && name.length <= MAX_NODE_NAME)) return;
  throw new FleetError(
    "invalid",
    `invalid node name ${
      JSON.stringify(name.slice(0, MAX_NODE_NAME))
    }: only letters, digits, -, _ and . are allowed, and it starts and ends with a letter or digit`,
  );
}

/** Whether the engine takes this as the name of a volume; templates are decided on the node. */
export function isVolumeName(name: string): boolean {
  return VOLUME_NAME.test(name) || (name.includes("{{") && !CONTROL.test(name));
}

/** Whether a path in a container is absolute and one line; templates are decided on the node. */
export function isContainerPath(path: string): boolean {
  return (path.startsWith("/") || path.startsWith("{{")) && !CONTROL.test(path);
}

export function hasControlCharacters(text: string): boolean {
  return CONTROL.test(text);
}
