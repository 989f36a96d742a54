import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { ClusterSpec } from "../../model/cluster.ts";
import { bool, list, obj, opt, str, uint } from "../../model/json.ts";
import { clusterOf } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { swarmJson } from "../projection/cluster.ts";
import { bodyOf, looseBoolean, strictBoolean, versionOf } from "./query.ts";
import { read } from "./read.ts";

const InitBody = obj({
  ListenAddr: opt(str),
  AdvertiseAddr: opt(str),
  DataPathAddr: opt(str),
  DataPathPort: opt(uint),
  ForceNewCluster: opt(bool),
  Spec: opt(ClusterSpec),
  AutoLockManagers: opt(bool),
  Availability: opt(str),
  DefaultAddrPool: opt(list(str)),
  SubnetSize: opt(uint),
});
const JoinBody = obj({
  ListenAddr: opt(str),
  AdvertiseAddr: opt(str),
  DataPathAddr: opt(str),
  RemoteAddrs: opt(list(str)),
  JoinToken: opt(str),
  Availability: opt(str),
});
const UnlockBody = obj({ UnlockKey: opt(str) });

export function swarmRoutes(app: Hono, backend: Backend): void {
  app.get("/swarm", (c) =>
    read(c, backend, (view) => {
      const cluster = clusterOf(view);
      if (!cluster) {
        throw new FleetError("unavailable", "the cluster is still being created; try again");
      }
      return swarmJson(cluster);
    }));
  app.post(
    "/swarm/init",
    async (c) => c.json(await backend.init(await bodyOf(c, InitBody, "init request"))),
  );
  app.post("/swarm/join", async (c) => {
    await backend.join(await bodyOf(c, JoinBody, "join request"));
    return c.body(null, 200);
  });
  app.post("/swarm/leave", async (c) => {
    await backend.leave(looseBoolean(c, "force"));
    return c.body(null, 200);
  });
  app.post("/swarm/update", async (c) => {
    const version = versionOf(c, "swarm");
    const flags = {
      rotateWorkerToken: strictBoolean(c, "rotateWorkerToken"),
      rotateManagerToken: strictBoolean(c, "rotateManagerToken"),
      rotateManagerUnlockKey: strictBoolean(c, "rotateManagerUnlockKey"),
    };
    const spec = await bodyOf(c, ClusterSpec, "swarm spec");
    await backend.call("cluster.update", { version, spec, ...flags }, c.req.raw.signal);
    return c.body(null, 200);
  });
  app.get("/swarm/unlockkey", async (c) => c.json({ UnlockKey: await backend.unlockKey() }));
  app.post("/swarm/unlock", async (c) => {
    await backend.unlock((await bodyOf(c, UnlockBody, "unlock request")).UnlockKey ?? "");
    return c.body(null, 200);
  });
}
