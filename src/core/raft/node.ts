import { AssertionError } from "../../base/assert.ts";
import { fullConfig } from "./config.ts";
import type { FullConfig, RaftConfig } from "./config.ts";
import type { RaftStatus } from "./status.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  Message,
  RaftId,
  RaftLogStorage,
  Ready,
} from "./types.ts";

/** One member of a raft group: a pure state machine (skeleton, being filled in). */
export class RaftNode {
  readonly config: FullConfig;
  constructor(config: RaftConfig, readonly storage: RaftLogStorage) {
    this.config = fullConfig(config);
  }
  /** Time passes: call once per tick. */
  tick(): void {
    todo();
  }
  /** Takes a message from another member. */
  step(_message: Message): void {
    todo();
  }
  /** Appends to the leader's log. @throws FleetError unavailable when not leading, or too much is uncommitted */
  propose(_data: Uint8Array): { index: number; term: number } {
    return todo();
  }
  /** @throws FleetError unavailable | invalid | conflict */
  proposeConfChange(_change: ConfChange): { index: number; term: number } {
    return todo();
  }
  /** Must be called for every `conf` entry of `Ready.committed`, while applying. */
  applyConfChange(_entry: Entry): ConfState {
    return todo();
  }
  /** `context` must be unique; the answer comes in `Ready.readStates`, or never. @throws FleetError unavailable */
  readIndex(_context: string): void {
    todo();
  }
  /** @throws FleetError unavailable | invalid */
  transferLeadership(_to: RaftId): void {
    todo();
  }
  /** Starts an election now (with pre-vote). */
  campaign(): void {
    todo();
  }
  /** Hint: the connection from `id` (default: the leader) was closed. */
  leaderLost(_id?: RaftId): void {
    todo();
  }
  hasReady(): boolean {
    return todo();
  }
  ready(): Ready {
    return todo();
  }
  advance(): void {
    todo();
  }
  /** A message to `id` could not be delivered. */
  reportUnreachable(_id: RaftId): void {
    todo();
  }
  /** How sending a snapshot to `id` ended. Must be called for each one. */
  reportSnapshot(_id: RaftId, _ok: boolean): void {
    todo();
  }
  status(): RaftStatus {
    return todo();
  }
}

function todo(): never {
  throw new AssertionError("not written yet");
}
