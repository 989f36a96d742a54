import { FleetError, messageOf } from "../../base/errors.ts";
import { labFolder, MAX_SLOT, nameFlag, stateFolder, uplinkName } from "./layout.ts";
import { withFileLock } from "./lock.ts";
import { must } from "./process.ts";

/** What has to be known about a lab beside its name; `lab.json`. */
export interface LabState {
  readonly format: 1;
  /** Third number of its addresses. */
  readonly slot: number;
  readonly hosts: number;
  /** Command of the agent; empty in a lab of engines only. */
  readonly binary: readonly string[];
  readonly agentArgs: readonly string[];
}

/** One for the whole machine: labs with different state folders share its addresses. */
const CLAIM_LOCK = "/run/lock/fleet-lab.lock";
const CLAIM_TIMEOUT_MS = 10_000;
/** A start takes a few seconds; whoever wants to remove a lab waits for that long. */
const USE_TIMEOUT_MS = 20_000;

/** Keeps two processes from making or removing a lab of one name at once. @throws FleetError conflict */
export async function withLab<T>(
  name: string,
  work: () => Promise<T>,
  timeoutMs = USE_TIMEOUT_MS,
): Promise<T> {
  await Deno.mkdir(stateFolder(), { recursive: true, mode: 0o755 });
  try {
    return await withFileLock(`${stateFolder()}/.${name}.lock`, `lab ${name}`, timeoutMs, work);
  } finally {
    // The last lab takes the folder with it.
    await Deno.remove(stateFolder()).catch(() => {});
  }
}

/**
 * Chooses the lowest free subnet, writes the state and calls `occupy`, which puts the machine's address
 * on it. From then on the others see that it is taken.
 */
export async function claim(
  name: string,
  wanted: Omit<LabState, "format" | "slot">,
  occupy: (state: LabState) => Promise<void>,
): Promise<LabState> {
  await Deno.mkdir("/run/lock", { recursive: true });
  return await withFileLock(CLAIM_LOCK, "the choice of subnets", CLAIM_TIMEOUT_MS, async () => {
    const state: LabState = { format: 1, slot: await freeSlot(name), ...wanted };
    await Deno.mkdir(labFolder(name), { mode: 0o711 });
    await writeState(name, state);
    await occupy(state);
    return state;
  });
}

/** @throws FleetError not-found, or corrupt with the way out */
export function readState(name: string): LabState {
  const path = `${labFolder(name)}/lab.json`;
  const remove = `fleet lab down${nameFlag(name)} removes it`;
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (labNames().includes(name)) {
      throw new FleetError("corrupt", `the start of lab ${name} was cut short: ${remove}`);
    }
    throw new FleetError(
      "not-found",
      `there is no lab "${name}"; fleet lab up${nameFlag(name)} makes one`,
    );
  }
  try {
    const state = JSON.parse(text) as LabState;
    if (state.format !== 1) throw new Error(`format ${state.format} is unknown`);
    return state;
  } catch (error) {
    throw new FleetError("corrupt", `${path}: ${messageOf(error)}: ${remove}`);
  }
}

/** Names of the labs of this machine, sorted. */
export function labNames(): string[] {
  try {
    return [...Deno.readDirSync(stateFolder())]
      .filter((entry) => entry.isDirectory && !entry.name.startsWith("."))
      .map((entry) => entry.name).sort();
  } catch {
    return [];
  }
}

async function writeState(name: string, state: LabState): Promise<void> {
  const path = `${labFolder(name)}/lab.json`;
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(state, null, 2));
  await Deno.rename(`${path}.new`, path);
}

/** Taken is what any address or route of the machine lies in, whoever made it. */
async function freeSlot(name: string): Promise<number> {
  const routes = await must(["ip", "-4", "route", "show", "table", "all"]);
  for (let slot = 0; slot <= MAX_SLOT; slot++) {
    const taken = routes.split("\n").some((line) =>
      line.includes(` 10.77.${slot}.`) || line.startsWith(`10.77.${slot}.`)
    );
    if (!taken) return slot;
  }
  throw new FleetError(
    "unavailable",
    `no subnet in 10.77.0.0/16 is free for lab ${name} (device ${uplinkName("…")}): remove a lab`,
  );
}
