import { type Clock, sleep } from "../../base/clock.ts";
import { FleetError, kindOf } from "../../base/errors.ts";
import type { ErrorKind } from "../../base/errors.ts";
import type { Member, Membership } from "./membership.ts";

/** What a manager says of the group: the answer of {@link MEMBERS_ROUTE}. */
export interface GroupView {
  /** The entry as of which this is so. */
  readonly index: number;
  /** Whether it leads, and so hears from all the others. */
  readonly leading: boolean;
  readonly members: readonly Member[];
  /** Nodes whose connection ended a moment ago, as far as the leader knows. */
  readonly silentNodes: readonly string[];
}

export const MEMBERS_ROUTE = "raft.members";
/** While the lead changes, a question waits this long for one who leads. */
const WAIT_MS = 2_000;
const RETRY_MS = 50;
/** What may be otherwise with the next leader; any other refusal is final. */
const PASSING: ReadonlySet<ErrorKind> = new Set<ErrorKind>(["unavailable", "timeout", "canceled"]);

export interface GroupAskerOptions {
  readonly clock: Clock;
  readonly membership: Membership;
  readonly own: () => GroupView;
  readonly askLeader: (signal: AbortSignal) => Promise<unknown>;
}

/**
 * The leader's view of the group, for those who want to know who can be reached: followers speak to the leader only,
 * so what one knows of the others is whether connections are open, and those of a machine that vanished are for a
 * while. Nothing is sent unless somebody asks, and who asks at the same time shares the answer.
 */
export class GroupAsker {
  readonly #options: GroupAskerOptions;
  #asking: Promise<GroupView> | undefined;

  constructor(options: GroupAskerOptions) {
    this.#options = options;
  }

  /** The leader's view, or this manager's own where nobody leads. Never rejects. */
  view(): Promise<GroupView> {
    return this.#asking ??= this.#ask().finally(() => this.#asking = undefined);
  }

  async #ask(): Promise<GroupView> {
    const { clock, membership, own } = this.#options;
    const deadline = clock.monotonic() + WAIT_MS;
    for (;;) {
      const here = own();
      const leftMs = deadline - clock.monotonic();
      if (here.leading || membership.leaderless || leftMs <= 0) return here;
      try {
        const said = await this.#askLeader(leftMs);
        if (said.leading) return said;
      } catch (error) {
        if (!PASSING.has(kindOf(error))) return own();
      }
      await sleep(clock, RETRY_MS);
    }
  }

  async #askLeader(timeoutMs: number): Promise<GroupView> {
    const controller = new AbortController();
    const cancel = this.#options.clock.after(timeoutMs, () => {
      controller.abort(new FleetError("timeout", `no answer of the leader in ${timeoutMs} ms`));
    });
    try {
      return await this.#options.askLeader(controller.signal) as GroupView;
    } finally {
      cancel();
    }
  }
}
