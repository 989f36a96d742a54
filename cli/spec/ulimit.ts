import { FleetError } from "../../src/base/errors.ts";

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** `name=soft[:hard]`. @throws FleetError invalid */
export function parseUlimit(text: string): Ulimit {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (!match) throw new FleetError("invalid", `ulimit "${text}": write it as name=soft[:hard]`);
  const soft = Number(match[2]);
  const hard = match[3] === undefined ? soft : Number(match[3]);
  if (hard !== -1 && (soft > hard || soft === -1)) {
    throw new FleetError("invalid", `ulimit "${text}": the soft limit is above the hard one`);
  }
  return { Name: match[1]!, Soft: soft, Hard: hard };
}
