import type { Backend } from "./backend.ts";

/**
 * `backend` for one user: what is asked of the cluster through it carries who asked, in the audit log's
 * words (`root (uid 0)`, `certificate alice`, `dashboard (operator of root (uid 0))`).
 */
export function asActor(backend: Backend, actor: string): Backend {
  return withCall(
    backend,
    (method, args, signal) => backend.call(method, args, signal, actor),
  );
}

/** `backend` with another `call`. */
export function withCall(backend: Backend, call: Backend["call"]): Backend {
  const bound = new Map<PropertyKey, unknown>();
  return new Proxy(backend, {
    get(target, key) {
      if (key === "call") return call;
      const value = Reflect.get(target, key, target) as unknown;
      if (typeof value !== "function") return value;
      let method = bound.get(key);
      // Its private state is the node's: the node has to be what it is called on.
      if (!method) bound.set(key, method = value.bind(target));
      return method;
    },
  });
}
