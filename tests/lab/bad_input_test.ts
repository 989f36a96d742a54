import assert from "node:assert/strict";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

Deno.test("bad input gets one clear sentence and loses nothing", async (t) => {
  await withFleetLab("bad", 2, async (lab) => {
    const refused = async (pattern: RegExp, host: string, ...args: string[]) => {
      const { code, stdout, stderr } = await lab.try(host, ...args);
      assert.notEqual(code, 0, `fleet ${args.join(" ")} succeeded: ${stdout}`);
      assert.match(stdout + stderr, pattern);
      assert.doesNotMatch(stderr, /^\s+at /m, "a stack trace reached the user");
    };
    const host = lab.host("h1");

    await t.step("before there is a cluster", async () => {
      await refused(/not a swarm manager/, "h1", "node", "ls");
      await refused(
        /10\.9\.9\.9 is not an address of this machine/,
        "h1",
        "init",
        "--advertise-addr",
        "10.9.9.9",
      );
      await refused(
        /neither an IP address nor an interface/,
        "h1",
        "init",
        "--advertise-addr",
        "eth9",
      );
      await refused(/not part of a swarm/, "h1", "leave");
      await refused(/invalid join token/, "h1", "join", "--token", "SWMTKN-1-x-y", "10.0.0.1:2377");
    });

    await t.step("several addresses are listed", async () => {
      await host.exec(["ip", "addr", "add", "10.200.0.1/24", "dev", "eth0"]);
      await refused(/could not choose an IP address .* and 10\.200\.0\.1/, "h1", "init");
      await host.exec(["ip", "addr", "del", "10.200.0.1/24", "dev", "eth0"]);
    });

    await t.step("a port that is taken", async () => {
      const listener = host.exec(["timeout", "300", "busybox", "nc", "-l", "-p", "2377"]);
      await until(
        "the port is taken",
        async () =>
          /:0949 /.test((await host.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"])).stdout),
      );
      await refused(/2377.*(in use|taken)/, "h1", "init", "--advertise-addr", host.address);
      // It ends with its first caller.
      await host.exec(["busybox", "nc", "127.0.0.1", "2377"], { stdin: "" });
      await listener;
    });

    await t.step("an engine in swarm mode", async () => {
      assert.equal(
        (await host.docker([
          "swarm",
          "init",
          "--advertise-addr",
          host.address,
          "--listen-addr",
          `${host.address}:2399`,
        ])).code,
        0,
      );
      await refused(/swarm mode itself/, "h1", "init", "--advertise-addr", host.address);
      assert.equal((await host.docker(["swarm", "leave", "--force"])).code, 0);
    });

    await lab.form();

    await t.step("membership", async () => {
      await refused(/already part of a swarm/, "h1", "init", "--advertise-addr", host.address);
      await refused(/last manager erases all current state/, "h1", "leave");
      await refused(/last manager/, "h1", "node", "demote", "h1");
      await refused(/is not down/, "h1", "node", "rm", "h2");
      await refused(/not a swarm manager.*Worker nodes/s, "h2", "service", "ls");
      const token = (await lab.fleet("h1", "join-token", "-q", "worker")).trim();
      await lab.fleet("h2", "leave");
      await lab.fleet("h1", "join-token", "--rotate", "-q", "worker");
      await refused(
        /valid join token is necessary/,
        "h2",
        "join",
        "--token",
        token,
        `${host.address}:2377`,
      );
      await refused(
        /10\.77\.\d+\.200:2377/,
        "h2",
        "join",
        "--token",
        token,
        `${host.address.replace(/\.\d+$/, ".200")}:2377`,
      );
      const foreign = token.replace(
        /^(SWMTKN-1-)(.)/,
        (_, head: string, digit: string) => head + (digit === "0" ? "1" : "0"),
      );
      await refused(
        /remote CA does not match fingerprint/,
        "h2",
        "join",
        "--token",
        foreign,
        `${host.address}:2377`,
      );
    });

    await t.step("services", async () => {
      const create = (
        ...args: string[]
      ) => ["service", "create", "-d", "--no-resolve-image", ...args];
      await lab.fleet("h1", ...create("--name", "web", "--replicas", "0", "busybox"));
      await refused(
        /name conflicts with an existing object/,
        "h1",
        ...create("--name", "web", "busybox"),
      );
      await refused(/invalid .*name/i, "h1", ...create("--name", "we b", "busybox"));
      await refused(/replicas/i, "h1", ...create("--replicas", "-1", "busybox"));
      await refused(
        /mount type|type=/i,
        "h1",
        ...create("--mount", "type=floppy,target=/x", "busybox"),
      );
      await refused(
        /not a valid repository\/tag|no image reference/i,
        "h1",
        ...create("Bad::Image"),
      );
      await refused(
        /service nothing not found|no such service: nothing/i,
        "h1",
        "service",
        "inspect",
        "nothing",
      );
      await refused(/no such node|node nothing not found/i, "h1", "node", "inspect", "nothing");
    });

    await t.step("the API's errors have Docker's shape and statuses", async () => {
      const client = Deno.createHttpClient({
        proxy: { transport: "unix", path: host.layout.fleetSocket },
      });
      const send = async (
        method: string,
        path: string,
        body?: unknown,
        type = "application/json",
      ) => {
        const response = await fetch(`http://fleet${path}`, {
          method,
          client,
          ...(body === undefined ? {} : {
            body: typeof body === "string" ? body : JSON.stringify(body),
            headers: { "content-type": type },
          }),
        } as RequestInit);
        const text = await response.text();
        return {
          status: response.status,
          message: text === "" ? "" : (JSON.parse(text) as { message?: string }).message,
        };
      };
      try {
        const web = await lab.get<{ ID: string; Spec: unknown; Version: { Index: number } }>(
          "h1",
          "/services/web",
        );
        assert.deepEqual(await send("GET", "/v1.41/services/nope"), {
          status: 404,
          message: "service nope not found",
        });
        const stale = await send("POST", `/services/web/update?version=1`, web.Spec);
        assert.equal(stale.status, 500);
        assert.equal(stale.message, "rpc error: code = Unknown desc = update out of sequence");
        assert.equal((await send("POST", "/services/web/update", web.Spec)).status, 400);
        assert.equal(
          (await send("POST", "/services/create", {
            Name: "web",
            TaskTemplate: { ContainerSpec: { Image: "a" } },
          })).status,
          409,
        );
        assert.equal((await send("POST", "/services/create", "{", "application/json")).status, 400);
        assert.equal((await send("POST", "/services/create", "{}", "text/plain")).status, 400);
        const wrong = await send("POST", "/services/create", {
          Name: "x",
          TaskTemplate: { ContainerSpec: { Image: "a", Env: "no" } },
        });
        assert.equal(wrong.status, 400);
        assert.match(wrong.message ?? "", /TaskTemplate\.ContainerSpec\.Env/);
        assert.equal((await send("GET", "/services?filters=%7Bx")).status, 400);
        assert.equal((await send("GET", "/v1.12/services")).status, 400);
        assert.equal((await send("GET", "/swarm/nothing")).status, 404);
      } finally {
        client.close();
      }
    });

    await t.step("a second agent on the same data directory", async () => {
      const { code, stderr, stdout } = await host.exec([
        BINARY,
        "agent",
        "--data-dir",
        host.layout.dataDir,
        "--socket",
        `${host.layout.folder}/second.sock`,
        "--docker-host",
        `unix://${host.layout.engineSocket}`,
      ], { timeoutMs: 120_000 });
      assert.notEqual(code, 0);
      assert.match(
        stdout + stderr,
        /in use by another fleet agent \(pid \d+\)/,
      );
    });

    await t.step(
      "a damaged database stops the manager with a sentence, and nothing starts over",
      async () => {
        await host.stop("agent");
        const path = `${host.layout.dataDir}/raft.db`;
        const good = await Deno.readFile(path);
        for (const suffix of ["-wal", "-shm"]) await Deno.remove(path + suffix).catch(() => {});
        await Deno.writeFile(path, new Uint8Array(8192).fill(0x55));
        await host.startAgent(lab.lab.binary);
        await refused(/not a swarm manager|raft\.db/, "h1", "node", "ls");
        await until(
          "it is in the log",
          async () => /raft\.db is damaged/.test(await host.log("agent")),
        );
        await host.stop("agent");
        await Deno.writeFile(path, good);
        await host.startAgent(lab.lab.binary);
        await until(
          "the manager is back",
          async () => (await lab.try("h1", "service", "inspect", "web")).code === 0,
        );
      },
    );

    await t.step(
      "a full disk refuses changes, loses nothing, and is no reason to stop",
      async () => {
        const second = lab.host("h2");
        await second.stop("agent");
        const folder = second.layout.dataDir;
        assert.equal(
          (await second.exec(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "small", folder]))
            .code,
          0,
        );
        await second.startAgent();
        await lab.fleet("h2", "init", "--advertise-addr", second.address);
        await lab.fleet(
          "h2",
          "service",
          "create",
          "-d",
          "-q",
          "--no-resolve-image",
          "--replicas",
          "0",
          "--name",
          "before",
          "busybox",
        );
        await second.exec(["dd", "if=/dev/zero", `of=${folder}/filler`, "bs=4096"]);
        const create = (
          name: string,
        ) => [
          "service",
          "create",
          "-d",
          "-q",
          "--no-resolve-image",
          "--replicas",
          "0",
          "--name",
          name,
          "--label",
          `x=${"y".repeat(100_000)}`,
          "busybox",
        ];
        await until("a change is refused", async () => {
          const { code, stderr } = await lab.try(
            "h2",
            ...create(`full-${Math.floor(performance.now())}`),
          );
          return code !== 0 && /no space left/.test(stderr);
        });
        // A new cluster cannot be forced: the old one stays, and no other takes its place.
        await until("a forced new cluster is refused", async () => {
          await second.exec(["dd", "if=/dev/zero", `of=${folder}/more`, "bs=4096"]);
          const { code, stderr } = await lab.try("h2", "init", "--force-new-cluster", "--yes");
          return code !== 0 && /no space left/.test(stderr);
        });
        await refused(/part of a swarm/, "h2", "init", "--advertise-addr", second.address);
        // It starts again, too, as soon as there is room.
        await second.stop("agent", "SIGKILL");
        await second.startAgent();
        await until(
          "it says what it waits for",
          async () => /no space left/.test((await lab.try("h2", "node", "ls")).stderr),
        );
        await second.exec(["rm", "-f", `${folder}/filler`, `${folder}/more`]);
        await until(
          "changes are taken again",
          async () =>
            (await lab.try("h2", ...create(`room-${Math.floor(performance.now())}`))).code === 0,
        );
        await lab.fleet("h2", "init", "--force-new-cluster", "--yes");
        assert.match(await lab.fleet("h2", "service", "ls"), /before/);
        await second.stop("agent");
        await second.exec(["chmod", "644", `${folder}/node.key`]);
        await second.startAgent();
        await refused(/node\.key is open to others/, "h2", "init");
        assert.match(
          await lab.docker("h2", "info"),
          /Swarm: error\s+NodeID:.*\s+Error: .*node\.key/,
        );
        await second.exec(["chmod", "600", `${folder}/node.key`]);
        await until(
          "it is all there after a restart",
          async () => (await lab.try("h2", "service", "inspect", "before")).code === 0,
        );
      },
    );

    await t.step("no agent at the socket", async () => {
      const { code, stderr } = await capture([
        BINARY,
        "--host",
        "unix:///nonexistent/fleet.sock",
        "node",
        "ls",
      ]);
      assert.equal(code, 1);
      assert.match(stderr, /fleet agent/);
    });
  });
});
