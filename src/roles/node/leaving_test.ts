import { deepStrictEqual, match, rejects, strictEqual, throws } from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import type { Task } from "../../model/task.ts";
import type { Manager } from "../manager/manager.ts";
import type { RpcCaller, RpcDialer } from "../rpc.ts";
import {
  checkLeave,
  containersThatLose,
  leaveCluster,
  refuseLeave,
  refuseLeaveOutside,
} from "./leaving.ts";

/** `m1` of managers that are reachable (true) or not. */
function manager(reachable: readonly boolean[], leading: boolean, said: string[] = []): Manager {
  const members = reachable.map((up, i) => ({
    nodeId: `m${i + 1}`,
    addr: `m${i + 1}:2377`,
    leader: i === (leading ? 0 : 1),
    reachable: up,
  }));
  return {
    nodeId: "m1",
    members: () => members,
    groupView: () => Promise.resolve({ members, silentNodes: [] }),
    confState: () => ({ voters: members.map(({ nodeId }) => nodeId), learners: [] }),
    runner: { leading, transferLeadership: (to: string) => said.push(`transfer to ${to}`) },
    onLeader: (route: string) => Promise.resolve(void said.push(`${route} by the leader`)),
  } as unknown as Manager;
}

function dialer(said: string[]): RpcDialer {
  return {
    connect: (address) =>
      Promise.resolve({
        call: (route: string) => {
          said.push(`${route} at ${address}`);
          return Promise.resolve(route === "cluster.leader" ? { nodeId: "m2" } : null);
        },
        close: () => said.push("closed"),
      } as unknown as RpcCaller),
  };
}

Deno.test("leaving: the sentence says what would be lost", async () => {
  await rejects(
    refuseLeave(manager([true], true)),
    /Removing the last manager erases all current state/,
  );
  await rejects(
    refuseLeave(manager([true, true, true], true)),
    (error: Error) => !/quorum/.test(error.message) && /fleet node demote/.test(error.message),
  );
  const loss = /leaves 2 managers of which only 1 can be reached: quorum would be lost/;
  await rejects(refuseLeave(manager([true, true, false], true)), loss);
  // To a follower everybody seems to be there.
  const follower = {
    ...manager([true, true, true], false),
    groupView: manager([true, true, false], false).groupView,
  } as unknown as Manager;
  await rejects(refuseLeave(follower), loss);
});

Deno.test("leaving: containers of the user's that lose their network are named", async () => {
  const place = (Name: string) => ({
    ID: `t-${Name}`,
    Name,
    NetworksAttachments: [{ NetworkID: "net", Name: "back" }],
  } as unknown as Task);
  strictEqual(containersThatLose([]), "");
  await checkLeave(undefined, "");
  const lost = containersThatLose([place("mine"), place("box")]);
  await rejects(
    checkLeave(undefined, lost),
    /containers of yours: box \(back\), mine \(back\)\. Remove them .*--force/,
  );
  await rejects(checkLeave(manager([true], true), lost), /manager\. .*box \(back\).*last manager/);
  const many = Array.from({ length: 8 }, (_, i) => place(`c${i}`));
  match(containersThatLose(many), /c4 \(back\) and 3 more\. $/);
});

Deno.test("leaving: a follower is taken out by the leader", async () => {
  const said: string[] = [];
  await leaveCluster(manager([true, true, true], false, said), dialer(said), silentLogger);
  deepStrictEqual(said, ["raft.leave by the leader"]);
});

Deno.test("leaving: a leader hands over to one that can be reached, and is taken out by it", async () => {
  const said: string[] = [];
  await leaveCluster(manager([true, true, true], true, said), dialer(said), silentLogger);
  deepStrictEqual(said, [
    "transfer to m2",
    "cluster.leader at m2:2377",
    "raft.leave at m2:2377",
    "closed",
  ]);
});

Deno.test("leaving: alone, nobody is asked; where the others do not consent it goes all the same and says so", async () => {
  const said: string[] = [];
  await leaveCluster(manager([true, false], true, said), dialer(said), silentLogger);
  deepStrictEqual(said, []);
  const warnings: string[] = [];
  const logger = {
    ...silentLogger,
    log: (_: string, message: string) => void warnings.push(message),
  };
  const away: RpcDialer = { connect: () => Promise.reject(new Error("no route")) };
  await leaveCluster(manager([true, true], true, said), away, logger as typeof silentLogger);
  match(warnings.join(), /remove this node on another manager/);
});

Deno.test("leaving: who is locked or failed to start is told so, not that it is in no cluster", () => {
  const refused = (locked: boolean, error: string, message: RegExp) =>
    throws(() => refuseLeaveOutside({ locked, error }), { kind: "unavailable", message });
  refused(true, "", /^Swarm is encrypted and locked\. .* `--force`/);
  refused(false, "the disk is gone", /does not run: the disk is gone; use `--force`/);
  refused(false, "", /^This node is not part of a swarm$/);
});
