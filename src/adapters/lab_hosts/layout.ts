import { FleetError } from "../../base/errors.ts";

/** Most hosts of one lab; also what its subnet and engine subnets allow. */
export const MAX_HOSTS = 9;
const DEFAULT_STATE = "/var/lib/fleet-lab";

/** Where everything of one host is, and what it is called. */
export interface HostLayout {
  readonly name: string;
  readonly folder: string;
  readonly namespace: string;
  readonly veth: string;
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
  readonly bridge: string;
  /** The machine's own address on the lab's bridge. */
  readonly gateway: string;
  readonly prefix: string;
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

/** A lab's places and names follow from its name and its number among the labs of the machine. */
export function labLayout(name: string, slot: number): LabLayout {
  const state = Deno.env.get("FLEET_LAB_DIR") ?? DEFAULT_STATE;
  return {
    name,
    folder: `${state}/${name}`,
    bridge: `flab${slot}`,
    gateway: `10.77.${slot}.254`,
    prefix: `10.77.${slot}`,
  };
}

export function hostLayout(lab: LabLayout, slot: number, number: number): HostLayout {
  const name = `h${number}`;
  const folder = `${lab.folder}/${name}`;
  return {
    name,
    folder,
    namespace: `flab${slot}-${name}`,
    veth: `flab${slot}v${number}`,
    address: `${lab.prefix}.${number}`,
    engineSocket: `${folder}/docker.sock`,
    fleetSocket: `${folder}/fleet.sock`,
    dataDir: `${folder}/fleet`,
    engineSubnet: `172.${18 + number}.0.1/16`,
    cgroup: `/fleet-lab-${slot}-${name}`,
  };
}

/** Where labs keep their state. */
export function stateFolder(): string {
  return Deno.env.get("FLEET_LAB_DIR") ?? DEFAULT_STATE;
}
