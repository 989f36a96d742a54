/** What a worker shows of the cluster's networks: those that it has a part of, as Docker's workers do. */
import assert from "node:assert/strict";
import { api } from "./cluster_api.ts";

const ID = "n3tw0rk1d00000000000000000";

Deno.test("a worker lists the cluster's networks that are here, not the bridges behind them", async () => {
  const { app } = api({
    worker: true,
    networks: [{
      Id: "e".repeat(64),
      Name: "back",
      Driver: "bridge",
      Scope: "local",
      Created: "2026-01-01T00:00:00Z",
      Internal: true,
      Labels: { "io.fleet.network": ID },
      Options: { "com.docker.network.bridge.name": "fl-4097" },
      IPAM: { Config: [{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.3" }] },
    }, { Id: "l".repeat(64), Name: "own", Driver: "bridge", Scope: "local", Labels: {} }],
  });
  const get = async (path: string) => {
    const response = await app(new Request(`http://fleet/v1.41${path}`));
    return await response.json() as Record<string, unknown>;
  };
  const list = async (filters: Record<string, string[]> = {}) => {
    const found = await get(`/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    return (found as unknown as Record<string, unknown>[])
      .map(({ Name, Driver, Scope }) => [Name, Driver, Scope].join(" "));
  };
  assert.deepEqual(await list(), ["own bridge local", "back overlay swarm"]);
  // The engine of this test does not filter; what is the cluster's is filtered here.
  assert.deepEqual(await list({ driver: ["bridge"] }), ["own bridge local"]);
  assert((await list({ scope: ["swarm"], name: ["ba"] })).includes("back overlay swarm"));
  for (const reference of ["back", ID, ID.slice(0, 5)]) {
    const { Id, Driver, Scope, Internal, IPAM, Options, Labels } = await get(
      `/networks/${reference}`,
    );
    assert.deepEqual({ Id, Driver, Scope, Internal, IPAM, Options, Labels }, {
      Id: ID,
      Driver: "overlay",
      Scope: "swarm",
      Internal: true,
      IPAM: { Driver: "default", Options: null, Config: [{ Subnet: "10.0.1.0/24" }] },
      Options: { "com.docker.network.driver.overlay.vxlanid_list": "4097" },
      Labels: {},
    });
  }
});
