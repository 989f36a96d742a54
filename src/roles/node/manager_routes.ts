import { FleetError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import { isControlMethod } from "../../core/control/perform.ts";
import type { ControlArgs, ControlMethod } from "../../core/control/methods.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import { clusterOf } from "../../model/view.ts";
import type { Logger } from "../../base/log.ts";
import { decodeIssueRequest, issueCertificate } from "../manager/certificate_authority.ts";
import type { IssueRequest } from "../manager/certificate_authority.ts";
import { decodeExpiredRequest, nodeOfExpired } from "../manager/expired_renewal.ts";
import type { Caller, Manager } from "../manager/manager.ts";
import type { RouteTable, RpcContext } from "../rpc.ts";
import { registerQuestionRoutes } from "./task_questions.ts";
import { assertManager } from "./admission.ts";
import { registerAttachmentRoutes } from "./attachments.ts";
import { JoinDoor } from "./join_door.ts";
import type { Trust } from "./ports.ts";

export interface ManagerRoutesOptions {
  /** The running manager; calls are refused with a sentence while there is none. */
  readonly manager: () => Manager | undefined;
  readonly trust: Trust;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The routes of port 2377; who may call them is in `core/pki/route_roles.ts`. */
export function registerManagerRoutes(table: RouteTable, options: ManagerRoutesOptions): void {
  const { trust, clock, logger } = options;
  const door = new JoinDoor(clock, logger);
  const manager = () => {
    const found = options.manager();
    if (!found) throw new FleetError("unavailable", "this manager is still starting; try again");
    return found;
  };

  table.route("ca.root", rolesOf("ca.root"), () => {
    const cluster = clusterOf(manager().store);
    if (!cluster) throw new FleetError("unavailable", "this manager is still starting; try again");
    return Promise.resolve({ caPem: cluster.RootCA.CACert, nowMs: clock.now() });
  });

  table.route("ca.issue", rolesOf("ca.issue"), async (body, context) => {
    const request = decodeIssueRequest(body);
    const nodeId = context.peer.role === "anonymous" ? undefined : context.peer.nodeId;
    if (nodeId === undefined && request.token === undefined) {
      throw new FleetError("unauthorized", "a valid join token is necessary to join this cluster");
    }
    const here = () => issueCertificate(manager(), trust, request, nodeId);
    const ask = () => manager().onLeader("ca.issueFor", { request, nodeId }, here, context.signal);
    return nodeId === undefined ? await door.pass(context.remoteAddress, ask) : await ask();
  });

  table.route("ca.renew", rolesOf("ca.renew"), async (body, context) => {
    const expired = decodeExpiredRequest(body);
    const request = decodeIssueRequest({ csr: expired.csr });
    const renew = async () => {
      const nodeId = nodeOfExpired(manager().store, trust, expired, clock.now());
      const here = () => issueCertificate(manager(), trust, request, nodeId);
      return await manager().onLeader("ca.issueFor", { request, nodeId }, here, context.signal);
    };
    return await door.pass(context.remoteAddress, renew, "an expired certificate was renewed");
  });

  // A manager that does not lead vouches for the caller whose certificate it has seen.
  table.route("ca.issueFor", rolesOf("ca.issueFor"), (body, context) => {
    assertManager(manager(), context.peer);
    const { request, nodeId } = (body ?? {}) as { request: IssueRequest; nodeId?: string };
    return issueCertificate(manager(), trust, decodeIssueRequest(request), nodeId);
  });

  table.route("cluster.leader", rolesOf("cluster.leader"), () => {
    const found = manager().members().find((member) => member.leader);
    if (!found) throw new FleetError("unavailable", manager().noLeaderSentence());
    return Promise.resolve({ nodeId: found.nodeId, addr: found.addr });
  });

  table.route("control.call", rolesOf("control.call"), async (body, context) => {
    assertManager(manager(), context.peer);
    const { method, args, ...caller } = (body ?? {}) as
      & Caller
      & { readonly method: string; readonly args: unknown };
    if (!isControlMethod(method)) {
      throw new FleetError("unimplemented", `this manager does not know "${method}"; upgrade it`);
    }
    const given = args as ControlArgs<ControlMethod>;
    return await manager().performHere(method, given, context.signal, caller);
  });

  table.streamRoute(
    "dispatcher.session",
    rolesOf("dispatcher.session"),
    async (stream, context) => {
      const work = manager().leaderWork;
      if (!work) throw new FleetError("unavailable", "this manager does not lead");
      await work.serveSession(stream, context);
    },
  );

  registerQuestionRoutes(table, manager);
  registerAttachmentRoutes(table, manager);

  table.route("raft.members", rolesOf("raft.members"), (_body, context) => {
    assertManager(manager(), context.peer);
    return Promise.resolve(manager().ownView());
  });
  table.route(
    "raft.join",
    rolesOf("raft.join"),
    (body, context) => joinRaft(manager(), body, context),
  );
  table.route("raft.leave", rolesOf("raft.leave"), async (_body, context) => {
    if (context.peer.role === "anonymous") throw new FleetError("forbidden", "no certificate");
    await leaveRaft(manager(), context.peer.nodeId);
    return null;
  });
}

/** Makes a node with a manager certificate a learner; the role manager makes it a voter once it caught up. */
async function joinRaft(manager: Manager, body: unknown, context: RpcContext): Promise<unknown> {
  const { addr } = (body ?? {}) as { addr?: unknown };
  if (context.peer.role === "anonymous" || typeof addr !== "string") {
    throw new FleetError("invalid", "addr: expected the address this manager listens on");
  }
  const { nodeId } = context.peer;
  if (!manager.runner.leading) throw new FleetError("unavailable", "this manager does not lead");
  const taken = manager.members().find((member) =>
    member.addr === addr && member.nodeId !== nodeId
  );
  if (taken) {
    throw new FleetError(
      "conflict",
      `${addr} is the address of manager ${taken.nodeId} already; advertise another one or remove that manager first`,
    );
  }
  await manager.write(({ tx }) => {
    const node = tx.get("node", nodeId);
    if (!node) throw new FleetError("not-found", `node ${nodeId} not found`);
    if (node.Role !== "manager") throw new FleetError("forbidden", `node ${nodeId} is a worker`);
    if (node.ManagerAddr !== addr) tx.update("node", { ...node, ManagerAddr: addr });
  });
  const { voters, learners } = manager.confState();
  // It asks with an empty log: what it was before under this id must not count any more.
  if (voters.includes(nodeId) || learners.includes(nodeId)) {
    await manager.runner.proposeConfChange({ type: "remove", id: nodeId });
  }
  const joinedIndex = await manager.runner.proposeConfChange({ type: "add-learner", id: nodeId });
  const managers = manager.members().map((member) => ({
    nodeId: member.nodeId,
    addr: member.addr,
  }));
  return { managers, joinedIndex };
}

async function leaveRaft(manager: Manager, nodeId: string): Promise<void> {
  if (!manager.runner.leading) throw new FleetError("unavailable", "this manager does not lead");
  const { voters, learners } = manager.confState();
  if (voters.includes(nodeId) || learners.includes(nodeId)) {
    await manager.runner.proposeConfChange({ type: "remove", id: nodeId });
  }
  await manager.write(({ tx }) => {
    const node = tx.get("node", nodeId);
    if (!node) return;
    const { ManagerAddr: _, ...rest } = node;
    tx.update("node", {
      ...rest,
      Role: "worker",
      Spec: { ...node.Spec, Role: "worker" },
      Status: { ...node.Status, State: "down", Message: "left the cluster" },
    });
  });
}
