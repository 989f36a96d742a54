import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { dataKey, stateFiles } from "../../src/adapters/host/data_directory.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { RaftLogStore } from "../../src/adapters/sqlite/raft_log_store.ts";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const MANAGERS = ["h1", "h2", "h3"];

async function copy(from: string, to: string): Promise<void> {
  await Deno.remove(to, { recursive: true }).catch(() => {});
  const { code, stderr } = await capture(["cp", "-a", from, to]);
  assert.equal(code, 0, stderr);
}

let count = 0;
const write = (lab: FleetLab, host: string) =>
  lab.try(
    host,
    ...["service", "create", "-d", "-q", "--no-resolve-image", "--replicas", "0"],
    ...["--name", `w${count++}`, "busybox"],
  );

const allBack = (lab: FleetLab, host = "h1") =>
  until(
    "three managers",
    async () => (await lab.try(host, "info")).stdout.includes("3 managers, 3 reachable"),
  );

/** What the node says of itself once it has given up. */
async function refusal(lab: FleetLab, host: string, words: RegExp): Promise<void> {
  let said = "";
  await until(`${host} says ${words}`, async () => {
    const { stdout, stderr } = await lab.try(host, "node", "ls");
    said = stdout + stderr;
    return words.test(said);
  }).catch((error) => assert.fail(`${error.message}; it said: ${said}`));
  const info = await lab.get<{ Swarm: { LocalNodeState: string; Error: string } }>(host, "/info");
  assert.equal(info.Swarm.LocalNodeState, "error");
  assert.match(info.Swarm.Error, words);
}

Deno.test("a manager whose data cannot be trusted is refused, by name and with the way out", async (t) => {
  await withFleetLab("refusals", 4, async (lab) => {
    const third = lab.host("h3");
    const dataDir = third.layout.dataDir;
    const spare = `${dataDir}-good`;
    const image = `${dataDir}-image`;
    const restart = async () => {
      await third.stop("agent", "SIGKILL");
      await third.startAgent();
    };
    /** Runs h3 on data that `spoil` changed, then on what it was before. */
    const spoiled = async (spoil: () => void | Promise<void>, words: RegExp) => {
      // Killed, so that its write-ahead log stays.
      await third.stop("agent", "SIGKILL");
      await copy(dataDir, spare);
      await spoil();
      await third.startAgent();
      await refusal(lab, "h3", words);
      await third.stop("agent");
      await copy(spare, dataDir);
      await third.startAgent();
      await allBack(lab);
    };
    const path = `${dataDir}/raft.db`;
    const key = () => dataKey(stateFiles(dataDir), { mayCreate: false });

    await lab.fleet("h1", "init", "--advertise-addr", lab.host("h1").address);
    const token = (await lab.fleet("h1", "join-token", "-q", "manager")).trim();
    const join = (host: string, ...args: string[]) =>
      lab.try(host, "join", "--token", token, ...args, `${lab.host("h1").address}:2377`);
    for (const host of ["h2", "h3"]) assert.equal((await join(host)).code, 0);
    await allBack(lab);

    await t.step("an address that a member has already", async () => {
      const taken = lab.host("h2").address;
      await lab.host("h4").exec(["ip", "addr", "add", `${taken}/32`, "dev", "lo"]);
      const { code, stderr } = await join("h4", "--advertise-addr", taken);
      await lab.host("h4").exec(["ip", "addr", "del", `${taken}/32`, "dev", "lo"]);
      assert.notEqual(code, 0);
      assert.match(stderr, new RegExp(`${taken}:2377 is the address of manager \\w+ already`));
    });

    await t.step("a changed row of the log", async () => {
      await spoiled(() => {
        using database = new DatabaseSync(path) as DatabaseSync & Disposable;
        database.exec("UPDATE raft_entry SET record = zeroblob(length(record)) WHERE idx = 5");
      }, /raft log entry 5 of term \d+.*restore the data directory.*fleet leave --force/);
    });

    await t.step("a torn write-ahead log", async () => {
      assert.equal((await write(lab, "h1")).code, 0);
      const { size } = await Deno.stat(`${path}-wal`);
      await spoiled(async () => {
        assert.ok(size > 10_000, `a write-ahead log of ${size} bytes`);
        using file = await Deno.open(`${path}-wal`, { read: true, write: true });
        await file.seek(5_000, Deno.SeekMode.Start);
        await file.write(new Uint8Array(64).fill(0x55));
      }, /raft\.db is older than what this node has confirmed .*-wal file was lost or damaged/);
    });

    await t.step("a log and a snapshot of a newer fleet", async () => {
      await spoiled(() => {
        using database = new DatabaseSync(path) as DatabaseSync & Disposable;
        database.exec("PRAGMA user_version = 99");
      }, /raft log of format 99, this fleet knows formats up to \d+: run the version of fleet/);
      await spoiled(async () => {
        const log = RaftLogStore.open(path, key());
        const index = log.lastIndex();
        const { conf } = log.snapshot()?.meta ?? { conf: { voters: [], learners: [] } };
        const data = new Uint8Array([200, 123, 125]);
        await log.saveSnapshot({ meta: { index, term: log.term(index)!, conf }, data }, index);
        log.close();
      }, /snapshot has format 200, this fleet reads format 1; run the version that wrote it/);
    });

    await t.step("a second machine with a copy of a manager that runs", async () => {
      third.signal("agent", "SIGSTOP");
      await copy(dataDir, lab.host("h4").layout.dataDir);
      third.signal("agent", "SIGCONT");
      await allBack(lab);
      // What a process that runs keeps of its lock is no part of an image.
      await Deno.remove(`${lab.host("h4").layout.dataDir}/lock`).catch(() => {});
      await lab.host("h4").stop("agent", "SIGKILL");
      await lab.host("h4").startAgent();
      await refusal(lab, "h4", /two nodes have the id \w+: another one is running, seen from /);
      await allBack(lab, "h3");
      assert.equal((await write(lab, "h3")).code, 0);
      await lab.fleet("h4", "leave", "--force");
    });

    await t.step("an old disk image of a manager that was stopped", async () => {
      await third.stop("agent");
      await copy(dataDir, image);
      await third.startAgent();
      await allBack(lab);
      await third.stop("agent");
      await copy(dataDir, spare);
      await copy(image, dataDir);
      // Nothing was written since: what gives it away is only that it ran since.
      for (const host of ["h1", "h2"]) {
        await lab.host(host).stop("agent", "SIGKILL");
        await lab.host(host).startAgent();
      }
      await third.startAgent();
      await refusal(lab, "h3", /(newer start of|two nodes have the id) .*fleet leave --force here/);
      await third.stop("agent");
      await copy(spare, dataDir);
      await third.startAgent();
      await allBack(lab);
    });

    await t.step(
      "an old disk image that lacks acknowledged writes, after all restarted",
      async () => {
        // Taken while it runs, as a hypervisor does: the image does not know of a later start.
        third.signal("agent", "SIGSTOP");
        await copy(dataDir, image);
        third.signal("agent", "SIGCONT");
        await allBack(lab);
        for (let i = 0; i < 5; i++) assert.equal((await write(lab, "h1")).code, 0);
        // What members remember of each other reaches their disks within a few seconds.
        await until("it is remembered", async () => {
          return (await write(lab, "h1")).code === 0 && await remembers(lab);
        });
        for (const host of MANAGERS) await lab.host(host).stop("agent", "SIGKILL");
        await copy(image, dataDir);
        await third.startAgent();
        for (const host of ["h1", "h2"]) await lab.host(host).startAgent();
        const words = /older than what it once confirmed .*fleet leave --force here/;
        await refusal(lab, "h3", words);
        await until("the others go on", async () => (await write(lab, "h1")).code === 0);
        await restart();
        await refusal(lab, "h3", words);
      },
    );

    await t.step("the way out that was named works", async () => {
      await lab.fleet("h3", "leave", "--force");
      await lab.fleet("h1", "node", "demote", "h3");
      await until(
        "it is removed",
        async () => (await lab.try("h1", "node", "rm", "--force", "h3")).code === 0,
      );
      assert.equal((await join("h3")).code, 0);
      await allBack(lab);
    });

    await t.step("a leader that is demoted hands over; no change fails for long", async () => {
      const names = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
      const leader = /^(\S+) Leader$/m.exec(await lab.fleet("h1", ...names))![1]!;
      const other = MANAGERS.find((host) => host !== leader)!;
      const pid = lab.host(leader).pid("agent");
      await lab.fleet(other, "node", "demote", leader);
      await until(
        "it is a worker",
        async () => /Worker nodes/.test((await lab.try(leader, "service", "ls")).stderr),
      );
      await until("the others go on", async () => (await write(lab, other)).code === 0);
      await until(
        "both are there",
        async () => (await lab.try(other, "info")).stdout.includes("2 managers, 2 reachable"),
      );
      assert.equal(lab.host(leader).pid("agent"), pid, "the agent was restarted");
      await lab.fleet(other, "node", "promote", leader);
      await allBack(lab, other);
    });

    await t.step("who was removed while it was away is not listened to", async () => {
      const names = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
      const leader = /^(\S+) Leader$/m.exec(await lab.fleet("h1", ...names))![1]!;
      const away = MANAGERS.find((host) => host !== leader)!;
      // What is asked here is whether the one that comes back disturbs the leader, not whether load does.
      await lab.fleet(leader, "update", "--election-tick", "30");
      await lab.host(away).link("down");
      await until(
        "it is missed",
        async () => (await lab.try(leader, "info")).stdout.includes("3 managers, 2 reachable"),
      );
      await lab.fleet(leader, "node", "demote", away);
      await until(
        "it is out",
        async () => (await lab.try(leader, "info")).stdout.includes("2 managers, 2 reachable"),
      );
      await lab.host(away).link("up");
      await until(
        "it is told",
        async () =>
          /(no member of|removed from) the consensus group|is no manager any more/.test(
            await lab.host(away).log("agent"),
          ),
      );
      await until(
        "it is a worker",
        async () => /Worker nodes/.test((await lab.try(away, "service", "ls")).stderr),
      );
      const after = /^(\S+) Leader$/m.exec(await lab.fleet(leader, ...names))![1]!;
      assert.equal(after, leader, "the one that came back disturbed the leader");
    });
  });

  /** Whether the first two managers have on disk that h3 confirmed what their own logs hold, but for a few. */
  async function remembers(lab: FleetLab): Promise<boolean> {
    const id = (await lab.fleet("h1", "node", "inspect", "--format", "{{.ID}}", "h3")).trim();
    for (const host of ["h1", "h2"]) {
      const folder = lab.host(host).layout.dataDir;
      const copied = `${folder}-look`;
      await copy(folder, copied);
      try {
        const log = RaftLogStore.open(
          `${copied}/raft.db`,
          dataKey(stateFiles(copied), { mayCreate: false }),
        );
        const memory = log.memory<{ peers: { id: string; confirmed: number }[] }>();
        const confirmed = memory?.peers.find((peer) => peer.id === id)?.confirmed ?? 0;
        log.close();
        const image = RaftLogStore.open(
          `${lab.host("h3").layout.dataDir}-image/raft.db`,
          dataKey(stateFiles(`${lab.host("h3").layout.dataDir}-image`), { mayCreate: false }),
        );
        const end = image.lastIndex();
        image.close();
        if (confirmed <= end) return false;
      } finally {
        await Deno.remove(copied, { recursive: true });
      }
    }
    return true;
  }
});
