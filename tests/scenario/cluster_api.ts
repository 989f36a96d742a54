/** The real routes over the real control methods, without consensus, network and engine. */
import { createApp, createRoutes } from "../../src/api/app.ts";
import type { AppOptions } from "../../src/api/app.ts";
import type { Backend } from "../../src/api/backend.ts";
import type { EngineFetch } from "../../src/api/engine_fetch.ts";
import { EngineWords } from "../../src/api/engine_words.ts";
import { EventHistory } from "../../src/api/events/event_history.ts";
import { FleetError } from "../../src/base/errors.ts";
import { bootstrap } from "../../src/core/control/bootstrap.ts";
import type { ControlContext } from "../../src/core/control/context.ts";
import { perform } from "../../src/core/control/perform.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import { decodeChanges, encodeChanges } from "../../src/core/store/codec.ts";
import { Transaction } from "../../src/core/store/transaction.ts";

const NOT_HERE = () => Promise.reject(new Error("not part of this"));

const MEMBER = () => Promise.reject(new FleetError("unavailable", "this node is part of a swarm"));

/**
 * The API of a cluster of one node, over a store in memory; `asked` are the targets that its engine got. On a
 * `worker` it has no store to look into; `networks` are the engine's own, `backend` answers instead.
 */
export function api(
  { worker = false, networks = [], backend: others = {} }: {
    readonly worker?: boolean;
    readonly networks?: readonly unknown[];
    readonly backend?: Partial<Backend>;
  } = {},
) {
  const asked: string[] = [];
  const store = new MemoryStore();
  let ids = 0;
  const newId = () => `id${String(++ids).padStart(23, "0")}`;
  const write = <T>(change: (tx: Transaction) => T): T => {
    const tx = new Transaction(store, Date.UTC(2026, 0, 1));
    const result = change(tx);
    const changes = tx.changes();
    if (changes.length > 0) store.apply(store.index + 1, decodeChanges(encodeChanges(changes)));
    return result;
  };
  write((tx) =>
    bootstrap(
      tx,
      newId,
      {
        clusterId: "cluster1",
        nodeId: "node1",
        managerAddr: "10.0.0.1:2377",
        availability: "active",
        spec: undefined,
        rootCa: { CACert: "", JoinTokens: { Worker: "w-1", Manager: "m-1" } },
        certificate: {
          notBeforeMs: 0,
          notAfterMs: Date.UTC(2027, 0, 1),
          issuerKey: "k",
          keyId: "k",
        },
        unlockKey: undefined,
        addrPool: undefined,
        subnetSize: undefined,
        dataPathPort: undefined,
      } as unknown as Parameters<typeof bootstrap>[2],
    )
  );
  const backend = {
    localState: () => ({
      state: "active",
      nodeId: "node1",
      manager: !worker,
      nodeAddr: "",
      error: "",
      remoteManagers: [],
    }),
    managerState: () => ({ leaderId: "node1", managers: [] }),
    managersHeard: () => Promise.resolve({ leaderId: "node1", managers: [] }),
    read: (look: (view: MemoryStore) => unknown) =>
      Promise.resolve({ value: look(store), stale: false }),
    // deno-lint-ignore require-await
    call: async (method: Parameters<typeof perform>[1], args: never) =>
      write((tx) =>
        perform(
          {
            tx,
            nowMs: Date.UTC(2026, 0, 1),
            newId,
            randomBytes: (n: number) => new Uint8Array(n),
            managers: [],
          } as unknown as ControlContext,
          method,
          args,
        )
      ),
    watch: () => () => {},
    log: () => {},
    askTask: () =>
      Promise.resolve({
        status: 200,
        contentType: "application/octet-stream",
        body: (async function* () {})(),
      }),
    askNode: NOT_HERE,
    askSelf: NOT_HERE,
    converse: NOT_HERE,
    init: MEMBER,
    join: MEMBER,
    leave: MEMBER,
    unlock: MEMBER,
    unlockKey: () => Promise.resolve(""),
    attachments: { find: () => Promise.resolve(undefined) },
    ...others,
  } as unknown as Backend;
  const engine: EngineFetch = (target) => {
    asked.push(target);
    return Promise.resolve(
      /\/networks\/(?!prune)/.test(target) && networks.length === 0
        ? Response.json({ message: "network not found" }, { status: 404 })
        : target.includes("networks")
        ? Response.json(networks)
        : /\/info$/.test(target)
        ? Response.json({ ServerVersion: "20.10" })
        : new Response("", { headers: { "api-version": "1.41" } }),
    );
  };
  const options: AppOptions = {
    actor: "test",
    history: new EventHistory(backend, () => 0),
    uiLinks: () => undefined,
    networks: () => undefined,
    probe: NOT_HERE,
  };
  /** Method and pattern of all that is served. */
  const routes = createRoutes(backend, engine, new EngineWords(engine), options).routes
    .map(({ method, path }) => ({ method, path }));
  return { app: createApp(backend, engine, options), store, asked, routes };
}
