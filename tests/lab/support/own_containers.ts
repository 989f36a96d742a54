/** What containers outside services meet on networks of the cluster. */
import assert from "node:assert/strict";
import { killTree } from "../../../src/adapters/lab_hosts/process.ts";
import { sample } from "../../support/balance_watch.ts";
import type { Sample } from "../../support/balance_watch.ts";
import type { FleetLab, TaskRow } from "../../support/fleet_lab.ts";
import { until } from "../../support/until.ts";
import { create, insideMust, patiently } from "./in_services.ts";
import { NETWORK_IMAGE } from "./network_image.ts";

/** On the network back, with a service client on every host that asks, and another called web. */
export async function stopsAndStarts(lab: FleetLab, hosts: readonly string[]): Promise<void> {
  const format = '{{(index .NetworkSettings.Networks "back").IPAddress}}';
  const addressOf = async (name: string) =>
    (await lab.docker("h3", "inspect", "--format", format, name)).trim();
  await lab.docker(
    "h3",
    ...["run", "-d", "--name", "mine", "--network", "back", NETWORK_IMAGE, "sleep", "100000"],
  );
  const first = await addressOf("mine");
  const seen = new Map<string, Sample>();
  const watchers: Deno.ChildProcess[] = [];
  const times: number[] = [];
  const heard = async (what: string, address: string | undefined) =>
    await until(
      `${what} on every host`,
      () =>
        seen.size === hosts.length &&
        [...seen.values()].every(({ addresses }) => addresses.join() === (address ?? "")),
      60_000,
      10,
    ).catch((error) => assert.fail(`${error}: ${JSON.stringify([...seen])}`));
  try {
    for (const host of hosts) {
      const of = {
        network: "back",
        service: "mine",
        what: "name",
        asker: "client",
      } as const;
      watchers.push(await sample(lab, host, of, (found) => seen.set(host, found)));
    }
    await heard("its name", first);
    for (let i = 0; i < 3; i++) {
      await lab.docker("h3", "kill", "mine");
      await heard("no name", undefined);
      const last = Math.max(...[...seen.values()].map(({ at }) => at));
      const ended = await lab.docker("h3", "inspect", "-f", "{{.State.FinishedAt}}", "mine");
      times.push(last - Date.parse(ended.trim()));
      await lab.docker("h3", "start", "mine");
      await heard("its name", first);
    }
    // One of three may have met a machine that was busy with something else.
    const typical = times.toSorted((a, b) => a - b)[1]!;
    assert(typical < 1_000, `${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);

    const takes = async (address: string) => {
      const thief = ["run", "-d", "--name", "thief", "--network", "back", "--ip", address];
      const run = [...thief, NETWORK_IMAGE, "sleep", "100000"];
      await until("its address is free", async () => (await lab.tryDocker("h1", run)).code === 0);
    };
    await lab.docker("h3", "kill", "mine");
    await heard("no name", undefined);
    await takes(first);
    await lab.docker("h3", "start", "mine");
    const second = await addressOf("mine");
    assert.notEqual(second, first);
    await heard("its name", second);
    await insideMust(lab, "client", "h2", "ping -c1 -W2 mine");
    await lab.docker("h3", "exec", "mine", "sh", "-c", patiently("getent hosts web"));

    // The engine asks nobody: what it starts with another's address is moved.
    await lab.docker("h1", "rm", "-f", "thief");
    await lab.docker("h3", "kill", "mine");
    await heard("no name", undefined);
    await takes(second);
    await lab.host("h3").docker(["start", "mine"]);
    await until("it has an address of its own", async () => {
      const address = await addressOf("mine");
      return address !== "" && address !== second;
    });
    await heard("its name", await addressOf("mine"));
    await insideMust(lab, "client", "h2", "ping -c1 -W2 mine");
    await lab.docker("h3", "exec", "mine", "sh", "-c", patiently("getent hosts web"));
  } finally {
    for (const watcher of watchers) {
      killTree(watcher.pid);
      await watcher.status;
    }
  }
  // Who leaves takes the network away from it, and is told so.
  const refused = await lab.try("h3", "leave");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /from containers of yours: mine \(back\)\. Remove them first/);
  await lab.docker("h1", "rm", "-f", "thief");
  await lab.docker("h3", "rm", "-f", "mine");
}

/** A service and containers on a network that has no room for all of them, and then for more. */
export async function crowds(lab: FleetLab): Promise<void> {
  // Five addresses beside the gateway's: each node on it needs one, too.
  const small = ["--attachable", "--subnet", "10.0.77.0/29"];
  await lab.docker("h1", "network", "create", "-d", "overlay", ...small, "small");
  const holder = ["run", "-d", "--name", "holder", "--network", "small"];
  await lab.docker("h1", ...holder, NETWORK_IMAGE, "sleep", "100000");
  await create(lab, "crowd", ["small"], ["--replicas", "4"], ["sleep", "100000"]);
  const filter = encodeURIComponent(JSON.stringify({ service: ["crowd"] }));
  const tasks = async () =>
    (await lab.get<TaskRow[]>("h1", `/v1.41/tasks?filters=${filter}`))
      .map(({ Status }) => Status);
  const running = (count: number) => async () =>
    (await tasks()).filter(({ State }) => State === "running").length === count;
  await until("one fits", running(1));
  const waiting = (await tasks()).filter(({ State }) => State !== "running");
  assert.deepEqual(waiting.map(({ State }) => State), ["new", "new", "new"]);
  for (const { Err } of waiting) {
    assert.match(Err ?? "", /^network small has no free address/);
  }
  for (const host of ["h1", "h3"]) {
    const refused = await lab.tryDocker(host, [
      ...["run", "--rm", "--network", "small", NETWORK_IMAGE, "true"],
    ]);
    assert.notEqual(refused.code, 0);
    assert.match(
      refused.stderr,
      /network small has no free address for the container: all 5/,
    );
  }
  await lab.docker("h1", "rm", "-f", "holder");
  await until("two fit", running(2));
  const states = await tasks();
  assert(
    states.every(({ State }) => State === "running" || State === "new"),
    JSON.stringify(states),
  );
  await lab.fleet("h1", "service", "rm", "crowd");
  await until(
    "nobody is on it",
    async () => (await lab.tryDocker("h1", ["network", "rm", "small"])).code === 0,
  );
}
