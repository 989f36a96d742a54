/** Who is at the other end of a connection on port 2377, by its certificate. */
type Caller = "anonymous" | "worker" | "manager";

/** Has shown no certificate: it may fetch the root, ask to be let in with a token, or prove a node's key. */
const ANYONE: readonly Caller[] = ["anonymous", "worker", "manager"];
const NODES: readonly Caller[] = ["worker", "manager"];
const MANAGERS: readonly Caller[] = ["manager"];

/**
 * Every route of port 2377 with the certificates that it is for. A route that is not here does not exist; a
 * test compares this table with what a manager has registered. What a route does for a node is decided by the
 * id in its certificate, never by an id in the call.
 */
export const ROUTE_ROLES = {
  "attachments.attach": NODES,
  "attachments.find": NODES,
  "attachments.release": NODES,
  "attachments.started": NODES,
  "attachments.stopped": NODES,
  "ca.root": ANYONE,
  "ca.issue": ANYONE,
  "ca.renew": ANYONE,
  "ca.issueFor": MANAGERS,
  "cluster.leader": NODES,
  "control.call": MANAGERS,
  "dispatcher.session": NODES,
  "tasks.ask": MANAGERS,
  "tasks.answer": NODES,
  "raft.join": MANAGERS,
  "raft.leave": MANAGERS,
  "raft.members": MANAGERS,
  "raft.messages": MANAGERS,
  "raft.snapshot": MANAGERS,
} as const satisfies Readonly<Record<string, readonly Caller[]>>;

export type RouteName = keyof typeof ROUTE_ROLES;

/** The options with which a route is registered. */
export function rolesOf(route: RouteName): { readonly roles: readonly Caller[] } {
  return { roles: ROUTE_ROLES[route] };
}
