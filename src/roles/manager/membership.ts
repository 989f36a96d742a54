import type { Clock } from "../../base/clock.ts";
import type { ConfState, RaftId } from "../../core/raft/types.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { nodeName } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { RaftRunner } from "./raft_runner.ts";

/** Without a leader every voter asks for votes within two elections; one that is silent for this many is gone. */
const SILENT_ELECTIONS = 3;

export interface Address {
  readonly nodeId: string;
  readonly addr: string;
}

/** One member of the consensus group, as a node sees it. */
export interface Member extends Address {
  readonly reachable: boolean;
  readonly leader: boolean;
  /** False for one that still catches up. */
  readonly voter: boolean;
}

export interface MembershipOptions {
  readonly nodeId: string;
  readonly addr: string;
  readonly view: View;
  readonly clock: Clock;
  readonly tickMs: number;
  /** Addresses of managers that are known from elsewhere, until the store names them. */
  readonly knownManagers: readonly Address[];
  /** Index of the entry that added this member; 0 for the founder. */
  readonly joinedIndex: number;
  readonly runner: () => RaftRunner;
  /** Whether a connection to or from this member is open. */
  readonly connected: (nodeId: string) => boolean;
}

/** Who the members are, where they listen, and which of them this one hears of. */
export class Membership {
  conf: ConfState = { voters: [], learners: [] };
  readonly #options: MembershipOptions;
  /** When each member was last heard, in monotonic milliseconds. */
  readonly #heard = new Map<RaftId, number>();
  /** Since when nobody is known to lead, in monotonic milliseconds. */
  #leaderlessSince: number | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#leaderlessSince = options.clock.monotonic();
  }

  /** A message of this member came. */
  noteHeard(id: RaftId): void {
    this.#heard.set(id, this.#options.clock.monotonic());
  }

  noteLeader(id: RaftId | ""): void {
    this.#leaderlessSince = id === ""
      ? this.#leaderlessSince ?? this.#options.clock.monotonic()
      : undefined;
  }

  /** Nobody leads, and not only for the time that an election takes. */
  get leaderless(): boolean {
    const since = this.#leaderlessSince;
    return since !== undefined && this.#options.clock.monotonic() - since >= this.#silenceMs();
  }

  /**
   * The members as far as this node can tell. The leader hears from all of them; a follower only sees whose
   * connections are open.
   */
  members(): Member[] {
    const runner = this.#options.runner();
    const leading = runner.leading;
    const peers = new Map(runner.node.status().peers.map((peer) => [peer.id, peer]));
    return [...this.conf.voters, ...this.conf.learners].map((nodeId) => ({
      nodeId,
      addr: this.addressOf(nodeId) ?? "",
      leader: nodeId === runner.leader,
      voter: this.conf.voters.includes(nodeId),
      reachable: nodeId === this.#options.nodeId || nodeId === runner.leader ||
        (leading
          ? peers.get(nodeId)?.recentActive ?? false
          : runner.leader !== ""
          ? this.#options.connected(nodeId)
          : this.#hears(nodeId)),
    }));
  }

  /** Whether a voter shows that it lives, as all do while they look for a leader. */
  #hears(nodeId: string): boolean {
    const { clock, connected } = this.#options;
    const silentMs = clock.monotonic() - (this.#heard.get(nodeId) ?? -Infinity);
    return connected(nodeId) && silentMs < this.#silenceMs();
  }

  #silenceMs(): number {
    const { tickMs, view } = this.#options;
    const electionTicks = clusterOf(view)?.Spec.Raft?.ElectionTick || CLUSTER_DEFAULTS.electionTick;
    return SILENT_ELECTIONS * electionTicks * tickMs;
  }

  addressOf(nodeId: string): string | undefined {
    const { nodeId: own, addr, view, knownManagers } = this.#options;
    if (nodeId === own) return addr;
    return view.get("node", nodeId)?.ManagerAddr ??
      knownManagers.find((known) => known.nodeId === nodeId)?.addr;
  }

  noLeaderSentence(): string {
    const { nodeId: own, view } = this.#options;
    const others = this.members().filter(({ nodeId, voter }) => voter && nodeId !== own);
    const silent = others.filter(({ nodeId }) => !this.#hears(nodeId));
    const names = (silent.length > 0 ? silent : others).map((member) => {
      const node = view.get("node", member.nodeId);
      return node ? `${nodeName(node)} (${member.addr})` : member.addr || member.nodeId;
    });
    return "The swarm does not have a leader. It's possible that too few managers are online: " +
      `quorum is lost until more than half of the ${others.length + 1} managers can be reached` +
      (names.length > 0 ? `; check ${names.join(", ")}` : "");
  }

  /**
   * A new member goes through the members of old, some of whom were removed since: until its log knows of its own
   * addition, the members are those whom the leader named when it let it in.
   */
  get #catchesUp(): boolean {
    return this.conf.voters.length === 0 ||
      this.#options.runner().applied < this.#options.joinedIndex;
  }

  #ids(): RaftId[] {
    return this.#catchesUp
      ? this.#options.knownManagers.map(({ nodeId }) => nodeId)
      : [...this.conf.voters, ...this.conf.learners];
  }

  includes(id: RaftId): boolean {
    return this.#ids().includes(id);
  }

  /** The others, as far as it is known where they listen. */
  peers(): Address[] {
    return this.#ids().flatMap((nodeId) => {
      const addr = this.addressOf(nodeId);
      return nodeId === this.#options.nodeId || !addr ? [] : [{ nodeId, addr }];
    });
  }
}
