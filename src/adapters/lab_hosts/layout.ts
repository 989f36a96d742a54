import { createHash } from "node:crypto";
import { FleetError } from "../../base/errors.ts";

/** Most hosts of one lab; also what its subnet and the engines' subnets allow. */
export const MAX_HOSTS = 99;
const DEFAULT_STATE = "/var/lib/fleet-lab";
/** The kernel's limit of a unix socket's path, without the closing zero byte. */
const MAX_SOCKET_PATH = 107;
const ID_LENGTH = 8;
/** Labs take subnets 10.77.0.0/24 to 10.77.254.0/24, the lowest free one first. */
export const MAX_SLOT = 254;

/** Where everything of one host is, and what it is called. */
export interface HostLayout {
  readonly name: string;
  readonly folder: string;
  readonly namespace: string;
  /** The switch's end of this host's cable; the host's end is `eth0`. */
  readonly port: string;
  readonly address: string;
  readonly engineSocket: string;
  readonly fleetSocket: string;
  readonly dataDir: string;
  /** The engine's own bridge network. */
  readonly engineSubnet: string;
  readonly cgroup: string;
}

export interface LabLayout {
  readonly name: string;
  readonly folder: string;
  /** Marks everything that the kernel holds for this lab. */
  readonly id: string;
  /** Network namespace of the bridge that the hosts are plugged into. */
  readonly switchNamespace: string;
  /** The machine's own device on that bridge. */
  readonly uplink: string;
  /** The machine's own address there, and the hosts' default route. */
  readonly gateway: string;
  readonly subnet: string;
  readonly cgroup: string;
}

/** What a lab is called when nobody says. */
const DEFAULT_NAME = "lab";

/** The flag that a command on this lab needs, with a space before it. */
export const nameFlag = (name: string): string => name === DEFAULT_NAME ? "" : ` --name ${name}`;

/** Where labs keep their state. */
export function stateFolder(): string {
  return (Deno.env.get("FLEET_LAB_DIR") || DEFAULT_STATE).replace(/\/+$/, "");
}

/** @throws FleetError invalid */
export function checkLabName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,19}$/.test(name)) {
    throw new FleetError(
      "invalid",
      `invalid lab name "${name}": use up to 20 lower-case letters, digits and -, starting with a letter`,
    );
  }
}

/**
 * What follows from the name alone, so that a lab can be removed when its state file is lost. The id
 * comes from the whole path: labs of one name under two state folders do not meet.
 */
export function labId(name: string): string {
  return createHash("sha256").update(`${stateFolder()}/${name}`).digest("hex").slice(0, ID_LENGTH);
}

export const labFolder = (name: string): string => `${stateFolder()}/${name}`;
export const namespacePrefix = (id: string): string => `flab-${id}-`;
export const labCgroup = (id: string): string => `/fleet-lab/${id}`;
/** Names of devices have at most 15 characters. */
export const uplinkName = (id: string): string => `flab${id}`;

/** A lab's places and names follow from its name and its slot among the subnets of the machine. */
export function labLayout(name: string, slot: number): LabLayout {
  const id = labId(name);
  return {
    name,
    folder: labFolder(name),
    id,
    switchNamespace: `${namespacePrefix(id)}switch`,
    uplink: uplinkName(id),
    gateway: `10.77.${slot}.254`,
    subnet: `10.77.${slot}.0/24`,
    cgroup: labCgroup(id),
  };
}

export function hostLayout(lab: LabLayout, slot: number, number: number): HostLayout {
  const name = `h${number}`;
  const folder = `${lab.folder}/${name}`;
  return {
    name,
    folder,
    namespace: `${namespacePrefix(lab.id)}${name}`,
    port: name,
    address: `10.77.${slot}.${number}`,
    engineSocket: `${folder}/docker.sock`,
    fleetSocket: `${folder}/fleet.sock`,
    dataDir: `${folder}/fleet`,
    engineSubnet: `172.30.${number}.1/24`,
    cgroup: `${lab.cgroup}/${name}`,
  };
}

/** @throws FleetError invalid when the state folder cannot hold a lab of this name */
export function checkFolder(name: string): void {
  const socket = `${labFolder(name)}/h${MAX_HOSTS}/docker.sock`;
  if (new TextEncoder().encode(socket).length > MAX_SOCKET_PATH) {
    throw new FleetError(
      "invalid",
      `${socket} is too long for a unix socket: set FLEET_LAB_DIR to a shorter path`,
    );
  }
  // Every host has its own /run and /etc, where the lab's folder would not be seen.
  if (/^\/(run|var\/run|etc|proc|sys)(\/|$)/.test(stateFolder())) {
    throw new FleetError("invalid", `FLEET_LAB_DIR cannot be ${stateFolder()}: choose another`);
  }
}
