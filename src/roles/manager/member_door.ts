import { FleetError } from "../../base/errors.ts";
import type { RaftId } from "../../core/raft/types.ts";
import type { RpcDialer } from "../rpc.ts";
import { MEMBERS_ROUTE } from "./group_view.ts";
import type { GroupView } from "./group_view.ts";
import type { Address, Membership } from "./membership.ts";

/** Each member that is asked has this long, for the connection and for the answer. */
const ASK_TIMEOUT_MS = 2_000;
/** Strangers asked after at a time: there are never many managers that one of them does not know. */
const MAX_ASKING = 8;
/** Strangers that were vouched for and are not looked up again; whoever is beyond is asked after anew. */
export const MAX_VOUCHED = 64;

export interface MemberDoorOptions {
  readonly nodeId: string;
  readonly membership: Membership;
  readonly dialer: RpcDialer;
  readonly applied: () => number;
  /** Index of the entry that added this member. */
  readonly joinedIndex: number;
}

/**
 * Who is listened to: members. A manager's certificate proves less, since a demoted one keeps it for a while, and
 * what a caller says of itself proves nothing. A member whose log is behind may be spoken to, and even led, by one
 * that was added since; so it asks those that it knows. One whose log is further must name the stranger, and that
 * holds until this log is as far.
 */
export class MemberDoor {
  readonly #options: MemberDoorOptions;
  /** Strangers, with the index at which a member said that they are members. */
  readonly #vouched = new Map<RaftId, number>();
  readonly #asking = new Map<RaftId, Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: MemberDoorOptions) {
    this.#options = options;
  }

  /** Gives up asking. */
  close(): void {
    this.#stopped.abort(new FleetError("unavailable", "this manager is stopping"));
  }

  /** @throws FleetError forbidden for one that is no member */
  assertMember(id: RaftId): void {
    if (this.#options.membership.includes(id) || this.#isVouched(id)) return;
    throw new FleetError("forbidden", `node ${id} is no member of the consensus group`);
  }

  #isVouched(id: RaftId): boolean {
    const index = this.#vouched.get(id);
    if (index === undefined) return false;
    if (index > this.#options.applied()) return true;
    this.#vouched.delete(id);
    return false;
  }

  /**
   * Finds out whether somebody who wants to speak is a member, as far as this log does not say so.
   * @throws FleetError forbidden
   */
  async enquire(id: RaftId, joinedIndex: number): Promise<void> {
    if (this.#options.membership.includes(id) || this.#isVouched(id)) return;
    // Whoever was added before what is applied here, and is no member, was removed since.
    if (joinedIndex > this.#options.applied()) await this.#ask(id);
    this.assertMember(id);
  }

  /** The one that was vouched for first makes room. */
  #vouch(id: RaftId, index: number): void {
    this.#vouched.delete(id);
    this.#vouched.set(id, index);
    if (this.#vouched.size <= MAX_VOUCHED) return;
    const [oldest] = this.#vouched.keys();
    this.#vouched.delete(oldest!);
  }

  #ask(id: RaftId): Promise<void> {
    const asking = this.#asking.get(id);
    if (asking) return asking;
    if (this.#asking.size >= MAX_ASKING) {
      throw new FleetError("unavailable", "too many managers that are not known here; try again");
    }
    const { membership, nodeId } = this.#options;
    const others = membership.peers().filter((peer) => peer.nodeId !== nodeId);
    const asked = Promise.any(others.map((peer) => this.#askMember(peer, id))).then(
      (index) => this.#vouch(id, index),
      () => {},
    ).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asked);
    return asked;
  }

  /** The index at which `member` counts `id` among the members. @throws when it does not, or knows less than we do */
  async #askMember(member: Address, id: RaftId): Promise<number> {
    const { dialer, applied, joinedIndex } = this.#options;
    const limits = { timeoutMs: ASK_TIMEOUT_MS, signal: this.#stopped.signal };
    const caller = await dialer.connect(member.addr, { ...limits, expectNodeId: member.nodeId });
    try {
      const view = await caller.call(MEMBERS_ROUTE, {}, limits) as GroupView;
      const named = view.members.some(({ nodeId }) => nodeId === id);
      if (named && view.index > applied() && view.index >= joinedIndex) return view.index;
      throw new FleetError("forbidden", `manager ${member.nodeId} does not name ${id}`);
    } finally {
      caller.close();
    }
  }
}
