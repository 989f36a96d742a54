/** `POST /networks/prune`: the cluster's unused networks go, the engine's part of those in use stays. */
import assert from "node:assert/strict";
import { api } from "./cluster_api.ts";

Deno.test("unused networks are pruned, on every node and in the cluster", async () => {
  const { app, store, asked } = api();
  const post = async (path: string, body?: unknown) => {
    const init = body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await app(
      new Request(`http://fleet/v1.41${path}`, { method: "POST", ...init }),
    );
    return { status: response.status, body: await response.json() as Record<string, unknown> };
  };
  const create = async (Name: string, more: Record<string, unknown> = {}) => {
    const { status, body } = await post("/networks/create", { Name, Driver: "overlay", ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return String(body["Id"]);
  };
  const names = () => [...store.all("network")].map(({ Spec }) => Spec.Name).sort();
  const predefined = names();
  const used = await create("used");
  await create("lonely");
  await create("kept", { Labels: { keep: "yes" } });
  await create("mesh", { Ingress: true });
  await post("/services/create", {
    Name: "web",
    TaskTemplate: { ContainerSpec: { Image: "busybox" }, Networks: [{ Target: used }] },
  });
  const prune = async (filters: Record<string, string[]>) =>
    await post(`/networks/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  assert.deepEqual((await prune({ until: ["2020-01-01T00:00:00Z"] })).body, {
    NetworksDeleted: null,
  });
  assert.deepEqual((await prune({ "label!": ["keep"] })).body, { NetworksDeleted: ["lonely"] });
  assert.deepEqual(names(), [...predefined, "kept", "mesh", "used"].sort());
  const filters = JSON.parse(new URL(asked.at(-1)!, "http://e").searchParams.get("filters")!);
  assert.deepEqual(filters, { "label!": ["keep", "io.fleet.network"] });
  assert.deepEqual((await prune({ label: ["keep=yes"], until: ["1s"] })).body, {
    NetworksDeleted: ["kept"],
  });
  assert.equal((await prune({ nonsense: ["x"] })).status, 400);
});
