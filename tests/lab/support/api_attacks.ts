/** The steps of `attacks_test.ts` against the API's socket. */
import assert from "node:assert/strict";
import * as attack from "../../support/attacker.ts";
import type { FleetLab } from "../../support/fleet_lab.ts";

export async function attackApi(t: Deno.TestContext, lab: FleetLab): Promise<void> {
  const h1 = lab.host("h1");
  const pid = h1.pid("agent");

  await t.step(
    "paths, ids, headers and control bytes in the API: 4xx, nothing changed",
    async () => {
      const nouns = [
        "services",
        "nodes",
        "tasks",
        "secrets",
        "configs",
        "networks",
        "swarm",
        "fleet",
      ];
      const evil = [
        ...[
          "../../etc/passwd",
          "..%2f..%2fetc%2fpasswd",
          "%2e%2e/%2e%2e",
          "a%00b",
          "%0d%0aSet-Cookie:%20x",
        ],
        ...[
          "__proto__",
          "constructor",
          "toString",
          "%ff%fe",
          "x".repeat(5_000),
          "%",
          "%zz",
          "*",
          "'\"<>",
        ],
        ...["%F0%9F%92%A9", "a%0a2026-01-01T00:00:00.000Z%20error%20forged", "..", ".", "%20"],
      ];
      const nodesBefore = await lab.fleet("h1", "node", "ls", "-q");
      for (const noun of nouns) {
        for (const text of evil) {
          for (const method of ["GET", "DELETE", "POST"]) {
            const path = `/v1.41/${noun}/${text}${method === "POST" ? "/update?version=1" : ""}`;
            const said = await attack.rawHttp(
              h1,
              `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
            );
            const status = Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1]);
            assert(
              status >= 300 && status < 500 || status === 501 || status === 503,
              `${method} ${path}: ${said.slice(0, 200)}`,
            );
            assert.doesNotMatch(said.split("\r\n\r\n")[0]!, /set-cookie/i, path);
            assert.doesNotMatch(said, /root:x:0/, path);
          }
        }
      }
      assert.equal(await lab.fleet("h1", "node", "ls", "-q"), nodesBefore);
      assert.equal(h1.pid("agent"), pid);
    },
  );

  await t.step(
    "../, control bytes and shell words as names, targets and addresses: refused",
    async () => {
      const names = [
        "../x",
        "a/b",
        "..",
        ".",
        "a\nb",
        "a\0b",
        "$(id)",
        "`id`",
        "-x",
        "a b",
        "é",
        "x".repeat(300),
        "",
        "__proto__",
      ];
      const image = {
        TaskTemplate: { ContainerSpec: { Image: "busybox" } },
        Mode: { Replicated: { Replicas: 0 } },
      };
      const post = async (path: string, body: unknown) => {
        const text = JSON.stringify(body);
        const bytes = new TextEncoder().encode(text);
        const head =
          `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;
        const said = await attack.rawHttp(
          h1,
          new Uint8Array([...new TextEncoder().encode(head), ...bytes]),
        );
        return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1]), said };
      };
      for (const Name of names) {
        for (
          const [path, body] of [
            ["/services/create", { Name, ...image }],
            ["/secrets/create", { Name, Data: "eA==" }],
            ["/configs/create", { Name, Data: "eA==" }],
            ["/networks/create", { Name, Driver: "overlay" }],
          ] as const
        ) {
          const { status, said } = await post(path, body);
          // A service without a name is given one.
          if (Name === "" && path === "/services/create") continue;
          assert.equal(status, 400, `${path} ${JSON.stringify(Name)}: ${said}`);
        }
      }
      const [node] = await lab.get<{ ID: string; Version: { Index: number }; Spec: object }[]>(
        "h1",
        "/nodes",
      );
      for (const Name of names.filter((name) => name !== "")) {
        const { status } = await post(
          `/nodes/${node!.ID}/update?version=${node!.Version.Index}`,
          { ...node!.Spec, Name },
        );
        assert.equal(status, 400, `a node is called ${JSON.stringify(Name)}`);
      }
      const file = (Name: string) => ({
        ...{ Name: "evil", Mode: { Replicated: { Replicas: 0 } } },
        TaskTemplate: {
          ContainerSpec: {
            Image: "busybox",
            Secrets: [{
              SecretName: "mine",
              SecretID: "x",
              File: { Name, UID: "0", GID: "0", Mode: 292 },
            }],
          },
        },
      });
      for (
        const target of ["../x", "/run/secrets/../../etc/shadow", "..", ".", "a/../../b", "a\0b"]
      ) {
        assert.equal((await post("/services/create", file(target))).status, 400, target);
      }
      const mount = (Source: string, Target: string) => ({
        ...{ Name: "evil", Mode: { Replicated: { Replicas: 0 } } },
        TaskTemplate: {
          ContainerSpec: { Image: "busybox", Mounts: [{ Type: "volume", Source, Target }] },
        },
      });
      for (const source of ["../x", "a/b", "a\nb", "$(id)", "-x", "..", "a\0"]) {
        assert.equal(
          (await post("/services/create", mount(source, "/data"))).status,
          400,
          JSON.stringify(source),
        );
      }
      for (const target of ["data", "/data\0", "/data\n", "/", "/../.."]) {
        assert.equal(
          (await post("/services/create", mount("v", target))).status,
          400,
          JSON.stringify(target),
        );
      }
      assert.doesNotMatch(await lab.fleet("h1", "service", "ls"), /evil/);
    },
  );
}
