import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";
import { errorResponse } from "../error_status.ts";
import { containerStartRoute } from "./container_start.ts";

const ADDRESS = "10.0.0.5";

/** One container on the network back of the cluster, as the engine remembers it. */
async function start(
  { state = { Status: "exited" }, labels = { "io.fleet.attachment.t1": "" }, created, places }: {
    state?: { Status: string; Running?: boolean };
    labels?: Record<string, string>;
    created?: number;
    places: () => Promise<readonly { network: string; address: string }[]>;
  },
) {
  const asked: unknown[] = [];
  const engine: string[] = [];
  const logged: string[] = [];
  const backend = {
    localState: () => ({ state: "active" }),
    attachments: {
      started: (request: unknown) => {
        asked.push(request);
        return places();
      },
    },
    log: (_level: string, message: string) => logged.push(message),
  } as unknown as Backend;
  const app = new Hono();
  containerStartRoute(app, backend, (target, { method, body }) => {
    if (method === "POST") engine.push(`${target} ${body ?? ""}`.trim());
    if (target.includes("/networks/") && method === "GET") {
      const Labels = target.endsWith("/back") ? { "io.fleet.network": "net" } : {};
      return Promise.resolve(Response.json({ Labels }));
    }
    return Promise.resolve(
      method === "GET"
        ? Response.json({
          Id: "c1",
          Created: new Date(created ?? 0).toISOString(),
          State: state,
          Config: { Labels: labels },
          NetworkSettings: {
            Networks: { back: { IPAMConfig: { IPv4Address: ADDRESS }, Aliases: ["box"] } },
          },
        })
        : new Response(null, { status: 204 }),
    );
  });
  app.onError((error) => errorResponse(error));
  const response = await app.request("/containers/box/start", { method: "POST" });
  return { response, asked, engine, logged };
}

const at = (address: string) => () =>
  Promise.resolve([{ network: "back", address, taskId: "t1", mac: "02:42:0a:00:00:09" }]);

Deno.test("docker start: the engine hears of another address before the container starts with it", async () => {
  const { response, asked, engine } = await start({ places: at("10.0.0.9") });
  strictEqual(response.status, 204);
  deepStrictEqual(asked, [{ containerId: "c1", taskIds: ["t1"] }]);
  const endpoint = {
    Aliases: ["box"],
    IPAMConfig: { IPv4Address: "10.0.0.9" },
    MacAddress: "02:42:0a:00:00:09",
  };
  deepStrictEqual(engine, [
    '/networks/back/disconnect {"Container":"c1","Force":true}',
    `/networks/back/connect ${JSON.stringify({ Container: "c1", EndpointConfig: endpoint })}`,
    "/containers/box/start",
  ]);
});

Deno.test("docker start: with the address that it had, nothing is changed", async () => {
  const { engine, asked } = await start({ places: at(ADDRESS) });
  deepStrictEqual(engine, ["/containers/box/start"]);
  strictEqual(asked.length, 1);
});

Deno.test("docker start: what was connected later has no label, and is found by its network", async () => {
  const { asked } = await start({ labels: {}, places: at(ADDRESS) });
  deepStrictEqual(asked, [{ containerId: "c1", taskIds: [] }]);
});

Deno.test("docker start: what runs, or was created just now, has its place", async () => {
  const running = { Status: "running", Running: true };
  strictEqual((await start({ state: running, places: at(ADDRESS) })).asked.length, 0);
  const fresh = { state: { Status: "created" }, created: Date.now() };
  strictEqual((await start({ ...fresh, places: at(ADDRESS) })).asked.length, 0);
});

Deno.test("docker start: on a full network it is refused; without managers it goes on as it was", async () => {
  const full = "network back has no free address for the container";
  const refused = await start({ places: () => Promise.reject(new FleetError("conflict", full)) });
  strictEqual(refused.response.status, 409);
  deepStrictEqual(refused.engine, []);
  const away = new FleetError("unavailable", "no manager is known");
  const alone = await start({ places: () => Promise.reject(away) });
  strictEqual(alone.response.status, 204);
  deepStrictEqual(alone.engine, ["/containers/box/start"]);
  match(alone.logged.join(), /c1 starts with the address that it had last: no manager is known/);
});
