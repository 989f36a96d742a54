import type { Clock } from "../../../src/base/clock.ts";
import { FleetError, kindOf, messageOf } from "../../../src/base/errors.ts";
import { Group } from "../../../src/base/group.ts";
import { newId } from "../../../src/base/ids.ts";
import { silentLogger } from "../../../src/base/log.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import type { ControlContext } from "../../../src/core/control/context.ts";
import type {
  ControlArgs,
  ControlMethod,
  ControlResult,
} from "../../../src/core/control/methods.ts";
import { perform } from "../../../src/core/control/perform.ts";
import { decodeChanges } from "../../../src/core/store/codec.ts";
import { MemoryStore } from "../../../src/core/store/memory_store.ts";
import type { Transaction } from "../../../src/core/store/transaction.ts";
import type { Change } from "../../../src/model/view.ts";
import { ClusterWork } from "../../../src/roles/manager/dispatcher_server.ts";
import { Writer } from "../../../src/roles/manager/writer.ts";
import type { Proposer } from "../../../src/roles/manager/writer.ts";

/** Nobody here asks for certificates. */
const NO_ROOTS = {} as ControlContext["roots"];
/** An entry is committed within this. */
const MAX_COMMIT_MS = 15;

/**
 * The managers: real stores, writers, control loops and dispatchers over a log that keeps raft's promises
 * (the core itself is simulated by `tests/sim`). What a leader had proposed when it lost the lead may or
 * may not have been committed; nobody is told.
 */
export class Managers {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #log: Change[][] = [];
  readonly #members: Member[];
  /** Applies every committed entry in order, for whoever checks. */
  readonly truth = new MemoryStore();
  /** A loop of a leader that died for no good reason. */
  failure: string | undefined;
  elections = 0;

  readonly #followersApply: boolean;

  constructor(
    clock: Clock,
    random: SeededRandom,
    count: number,
    /** Followers decide nothing, so that a simulation may spare what they do; a benchmark may not. */
    options: { readonly followersApply?: boolean } = {},
  ) {
    this.#followersApply = options.followersApply ?? false;
    this.#clock = clock;
    this.#random = random;
    this.#members = Array.from({ length: count }, (_, i) => new Member(this, `m${i + 1}`));
  }

  get clock(): Clock {
    return this.#clock;
  }

  get random(): SeededRandom {
    return this.#random;
  }

  get entries(): number {
    return this.#log.length;
  }

  get leader(): Member | undefined {
    return this.#members.find((member) => member.leading);
  }

  addresses() {
    return this.#members.map(({ id }) => ({ nodeId: id, addr: `${id}:2377` }));
  }

  /** Makes another member the leader, at once; the old one learns of it now. */
  async elect(crashed: boolean): Promise<void> {
    const old = this.leader;
    const others = this.#members.filter((member) => member !== old);
    const next = others[Math.floor(this.#random.float() * others.length)]!;
    if (old) await old.lose(crashed);
    this.elections++;
    next.lead();
  }

  /** The first leader. */
  start(): void {
    this.#members[0]!.lead();
  }

  append(data: Uint8Array): number {
    // Objects are never changed in place, so the replicas may share what was decoded once.
    const changes = decodeChanges(data);
    this.#log.push(changes);
    this.truth.apply(this.#log.length, changes);
    if (this.#followersApply) { for (const member of this.#members) member.catchUp(); }
    return this.#log.length;
  }

  entry(index: number): readonly Change[] | undefined {
    return this.#log[index - 1];
  }

  /** One transaction on whoever leads. @throws FleetError unavailable while nobody does */
  async write<T>(run: (tx: Transaction) => T): Promise<T> {
    const { leader } = this;
    if (!leader) throw new FleetError("unavailable", "nobody leads");
    return await leader.writer.write(run);
  }

  async call<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
  ): Promise<ControlResult<M>> {
    return await this.write((tx) =>
      perform(
        {
          tx,
          nowMs: tx.nowMs,
          newId: () => newId(this.#random),
          randomBytes: (n) => this.#random.bytes(n),
          managers: [],
          roots: NO_ROOTS,
        },
        method,
        args,
      )
    );
  }

  async stop(): Promise<void> {
    for (const member of this.#members) await member.lose(false);
  }
}

/** One manager. */
export class Member implements Proposer {
  readonly id: string;
  readonly #all: Managers;
  #store = new MemoryStore();
  #writer: Writer;
  #group: Group | undefined;
  #work: ClusterWork | undefined;
  #term = 0;
  #waiting: { data: Uint8Array; reject: (error: Error) => void }[] = [];

  constructor(all: Managers, id: string) {
    this.#all = all;
    this.id = id;
    this.#writer = this.#newWriter();
  }

  #newWriter(): Writer {
    return new Writer({ store: this.#store, proposer: this, clock: this.#all.clock });
  }

  get leading(): boolean {
    return this.#group !== undefined;
  }

  get writer(): Writer {
    return this.#writer;
  }

  get work(): ClusterWork | undefined {
    return this.#work;
  }

  /** Applies what is committed. Only whoever leads needs to: followers decide nothing. */
  catchUp(): void {
    for (let at = this.#store.index + 1;; at++) {
      const changes = this.#all.entry(at);
      if (!changes) return;
      this.#store.apply(at, changes);
    }
  }

  lead(): void {
    this.catchUp();
    this.#term++;
    const { clock, random } = this.#all;
    const group = new Group();
    this.#group = group;
    this.#work = new ClusterWork({
      store: this.#store,
      writer: this.#writer,
      clock,
      random: new SeededRandom(random.uint32()),
      logger: silentLogger,
      managers: () => this.#all.addresses(),
      caDigest: () => "",
      caIssuer: () => ({ Subject: "ca", PublicKey: "key" }),
    });
    this.#work.start(group);
    group.wait().catch((error: unknown) => {
      // A leader that lost the lead before it could store something steps down; anything else is wrong.
      if (this.#group !== group || kindOf(error) === "unavailable") return;
      this.#all.failure ??= `a loop of the leader ended: ${messageOf(error)}`;
    });
  }

  /** Ends the lead; with `crashed` the memory is gone, too. */
  async lose(crashed: boolean): Promise<void> {
    const group = this.#group;
    if (!group) return;
    this.#group = undefined;
    this.#work = undefined;
    this.#term++;
    const waiting = this.#waiting;
    this.#waiting = [];
    // What was on its way may be in the new leader's log or not: never a later one without an earlier.
    const survive = Math.floor(this.#all.random.float() * (waiting.length + 1));
    for (const { data } of waiting.slice(0, survive)) this.#all.append(data);
    for (const { reject } of waiting) {
      reject(new FleetError("unavailable", "the lead was lost before the change was committed"));
    }
    await group.stop();
    if (!crashed) return;
    this.#store = new MemoryStore();
    this.#writer = this.#newWriter();
  }

  propose(data: Uint8Array): Promise<number> {
    if (!this.leading) {
      return Promise.reject(new FleetError("unavailable", "this manager does not lead"));
    }
    const term = this.#term;
    return new Promise((resolve, reject) => {
      const entry = { data, reject };
      this.#waiting.push(entry);
      this.#all.clock.after(this.#all.random.float() * MAX_COMMIT_MS, () => {
        if (this.#term !== term) return;
        this.#waiting = this.#waiting.filter((waiting) => waiting !== entry);
        const index = this.#all.append(data);
        this.catchUp();
        resolve(index);
      });
    });
  }
}
