import type { Clock } from "../../base/clock.ts";
import { kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { withoutLength } from "../../model/network.ts";
import type { Task } from "../../model/task.ts";

/** A container of this machine, as far as its places on networks of the cluster go. */
export interface SeenContainer {
  readonly id: string;
  /** The engine's word: created, running, paused, restarting, removing, exited, dead. */
  readonly state: string;
  readonly createdMs: number;
  /** Attachments that it was created with. */
  readonly taskIds: readonly string[];
  /** By the name of the network; empty while it does not run. */
  readonly addresses: Readonly<Record<string, string>>;
}

/** The engine's part; `src/adapters/docker/seen_containers.ts` implements it. */
export interface ContainerLook {
  list(signal: AbortSignal): Promise<readonly SeenContainer[]>;
  /** Whether the engine may start a container again without being asked: it has a restart policy. */
  startsByItself(id: string, signal: AbortSignal): Promise<boolean>;
  /** Gives a container that runs another address. */
  move(
    id: string,
    place: { readonly network: string; readonly address: string; readonly mac: string | undefined },
    signal: AbortSignal,
  ): Promise<void>;
  /** Calls `wake` when a container, or any, has started or ended; the function returned ends it. */
  onChange(wake: (id?: string) => void): () => void;
}

/** The managers' part; `src/roles/node/attachments.ts` implements it. */
export interface ContainerPlaces {
  started(request: { taskIds: string[] }, signal: AbortSignal): Promise<unknown>;
  stopped(request: { taskId: string; keepAddress: boolean }): Promise<void>;
}

export interface AttachedContainersOptions {
  readonly look: ContainerLook;
  readonly places: ContainerPlaces;
  /** This node's tasks, as they were assigned last. */
  readonly tasks: () => readonly Task[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Without events containers are looked at this often, as long as any has a place. */
const LOOK_EVERY_MS = 1_000;
/** Events come in groups. */
const MIN_REST_MS = 100;
/** The engine tells of an end before its own list knows of it: that many looks follow an event. */
const LOOKS_PER_EVENT = 4;
/** A container is created with its places and usually started at once. */
const FRESH_MS = 10_000;
/** The engine's address may differ from the managers' for as long as their word takes. */
const SETTLE_MS = 2_000;

/**
 * Tells the managers of containers outside services that stop and start, by whatever hand: what does not run
 * has no name, and gives its address back. Where the engine started one with an address that somebody else
 * has by now, it gets another.
 */
export class AttachedContainers {
  readonly #options: AttachedContainersOptions;
  /** Attachments whose address is not the engine's, and since when. */
  #differs = new Map<string, number>();
  /** Containers that have places, as of the last look. */
  #known = new Set<string>();
  #wake: () => void = () => {};
  #trouble = "";

  constructor(options: AttachedContainersOptions) {
    this.#options = options;
  }

  /** Works until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { look } = this.#options;
    let soon = 0;
    const ring = () => {
      soon = LOOKS_PER_EVENT;
      this.#wake();
    };
    // Tasks of services come and go, too: of these there may be many.
    const unwatch = look.onChange((id) => {
      if (id === undefined || this.#known.has(id)) ring();
    });
    signal.addEventListener("abort", ring, { once: true });
    try {
      while (!signal.aborted) {
        soon = Math.max(0, soon - 1);
        await this.#pass(signal);
        await this.#rest(MIN_REST_MS, () => signal.aborted);
        await this.#rest(LOOK_EVERY_MS - MIN_REST_MS, () => soon > 0 || signal.aborted);
      }
    } finally {
      unwatch();
      signal.removeEventListener("abort", ring);
    }
  }

  /** Places of the containers that run now. */
  async running(signal: AbortSignal): Promise<Task[]> {
    const { look, tasks } = this.#options;
    const places = tasks().filter(isPlace);
    if (places.length === 0) return [];
    const containers = await look.list(signal);
    return places.filter((task) => {
      const container = containerOf(task, containers);
      return container !== undefined && runs(container);
    });
  }

  #rest(ms: number, isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      if (isOver()) return resolve();
      const cancel = this.#options.clock.after(ms, () => {
        this.#wake = () => {};
        resolve();
      });
      this.#wake = () => {
        if (!isOver()) return;
        cancel();
        this.#wake = () => {};
        resolve();
      };
    });
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { look, tasks } = this.#options;
    const places = tasks().filter(isPlace);
    if (places.length === 0) return;
    const troubles: unknown[] = [];
    const containers = await look.list(signal).catch((error: unknown) => {
      troubles.push(error);
      return [];
    });
    const differing = this.#differs;
    this.#known = new Set();
    this.#differs = new Map();
    for (const task of places) {
      const container = containerOf(task, containers);
      if (!container) continue;
      this.#known.add(container.id);
      try {
        await this.#compare(task, container, differing.get(task.ID), signal);
      } catch (error) {
        troubles.push(error);
        // Nobody can be asked for the others either.
        if (["unavailable", "timeout"].includes(kindOf(error))) break;
      }
    }
    if (!signal.aborted) this.#tell(troubles.length > 0 ? messageOf(troubles[0]) : "");
  }

  /** What did not succeed is tried again with the next look, and told once. */
  #tell(trouble: string): void {
    if (trouble !== "" && trouble !== this.#trouble) {
      this.#options.logger.log(
        "warn",
        "a container on a network of the cluster could not be followed; trying again",
        { error: trouble },
      );
    }
    this.#trouble = trouble;
  }

  async #compare(
    task: Task,
    container: SeenContainer,
    differsSince: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { look, places, clock } = this.#options;
    const isIdle = task.Spec.NetworkAttachmentSpec?.Idle ?? false;
    if (!runs(container)) {
      if (isIdle || isFresh(container, clock.now())) return;
      const keepAddress = await look.startsByItself(container.id, signal);
      return await places.stopped({ taskId: task.ID, keepAddress });
    }
    if (isIdle) return void await places.started({ taskIds: [task.ID] }, signal);
    const [place] = task.NetworksAttachments ?? [];
    const network = place?.Name ?? "";
    const address = withoutLength(place?.Addresses?.[0] ?? "");
    const has = container.addresses[network] ?? "";
    if (address === "" || has === "" || has === address) return;
    const since = differsSince ?? clock.monotonic();
    this.#differs.set(task.ID, since);
    if (clock.monotonic() - since < SETTLE_MS) return;
    this.#differs.delete(task.ID);
    this.#options.logger.log("warn", "a container was started with an address that it gave back", {
      container: container.id,
      network,
      had: has,
      gets: address,
    });
    await look.move(container.id, { network, address, mac: place?.MAC }, signal);
  }
}

function isPlace({ Spec, Status }: Task): boolean {
  return Spec.NetworkAttachmentSpec !== undefined && Status.State === "running";
}

function runs({ state }: SeenContainer): boolean {
  return state === "running" || state === "paused";
}

function isFresh({ state, createdMs }: SeenContainer, nowMs: number): boolean {
  return state === "created" && nowMs - createdMs < FRESH_MS;
}

function containerOf(task: Task, containers: readonly SeenContainer[]): SeenContainer | undefined {
  const id = task.Spec.NetworkAttachmentSpec?.ContainerID;
  return containers.find((container) =>
    id === undefined ? container.taskIds.includes(task.ID) : container.id === id
  );
}
