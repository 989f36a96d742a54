import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import type { RpcCaller } from "../rpc.ts";
import { joinCluster } from "./joining.ts";
import type { NodeNetwork, Trust } from "./ports.ts";

const NOW = Date.UTC(2026, 0, 1);
const DIGEST = "a".repeat(50);
const TOKEN = `SWMTKN-1-${DIGEST}-${"b".repeat(25)}`;

/** A manager whose clock and root the test chooses; addresses that are not in `managers` do not answer. */
function world(managers: Record<string, { nowMs?: number; digest?: string; refuse?: FleetError }>) {
  const calls: string[] = [];
  const network = {
    dialAnonymously: (address: string, caPem: string) => {
      const manager = managers[address];
      if (!manager) {
        return Promise.reject(
          new FleetError("unavailable", `cannot reach manager ${address} within 5 s`),
        );
      }
      const caller = {
        close: () => {},
        call: (route: string) => {
          calls.push(`${address} ${route} ${caPem === "unverified" ? "unverified" : "verified"}`);
          if (route === "ca.root") {
            return Promise.resolve({
              caPem: manager.digest ?? DIGEST,
              nowMs: manager.nowMs ?? NOW,
            });
          }
          if (manager.refuse) return Promise.reject(manager.refuse);
          return Promise.resolve({
            nodeId: "n",
            role: "worker",
            clusterId: "c",
            certPem: "cert",
            caPem: "ca",
          });
        },
      };
      return Promise.resolve(caller as unknown as RpcCaller);
    },
  } as unknown as NodeNetwork;
  const trust = {
    caDigest: (pem: string) => pem,
    equal: (a: string, b: string) => a === b,
    createKeyAndCsr: () => ({ keyPem: "key", csrPem: "csr" }),
    verify: () => ({}),
  } as unknown as Trust;
  const join = (...remoteAddrs: string[]) =>
    joinCluster({ remoteAddrs, token: TOKEN, availability: "active", network, trust, nowMs: NOW });
  return { join, calls };
}

Deno.test("the root is fetched without trust, and nothing else is", async () => {
  const { join, calls } = world({ "10.0.0.1:2377": {} });
  assert.equal((await join("10.0.0.1")).reply.nodeId, "n");
  assert.deepEqual(calls, ["10.0.0.1:2377 ca.root unverified", "10.0.0.1:2377 ca.issue verified"]);
});

Deno.test("a cluster with another root is refused before the token is shown to it", async () => {
  const { join, calls } = world({ "10.0.0.1:2377": { digest: "z".repeat(50) } });
  await assert.rejects(join("10.0.0.1"), {
    kind: "unauthorized",
    message: /remote CA does not match fingerprint/,
  });
  assert.deepEqual(calls, ["10.0.0.1:2377 ca.root unverified"]);
});

Deno.test("a clock that is far off is named, with the direction", async () => {
  const { join } = world({ "10.0.0.1:2377": { nowMs: NOW + 3 * 3600_000 } });
  await assert.rejects(join("10.0.0.1"), {
    kind: "invalid",
    message: /180 minutes behind that of 10\.0\.0\.1:2377; set it \(NTP\)/,
  });
});

Deno.test("managers are tried in turn; when none answers, each is named", async () => {
  const { join } = world({ "10.0.0.2:2377": {} });
  assert.equal((await join("10.0.0.1", "10.0.0.2")).managerAddr, "10.0.0.2:2377");
  await assert.rejects(join("10.0.0.7", "10.0.0.8:99"), {
    kind: "unavailable",
    message: /10\.0\.0\.7:2377.*10\.0\.0\.8:99/,
  });
});

Deno.test("a refusal is final: the next manager would say the same", async () => {
  const refuse = new FleetError(
    "unauthorized",
    "a valid join token is necessary to join this cluster",
  );
  const { join, calls } = world({ "10.0.0.1:2377": { refuse }, "10.0.0.2:2377": {} });
  await assert.rejects(join("10.0.0.1", "10.0.0.2"), { kind: "unauthorized" });
  assert.equal(calls.some((call) => call.startsWith("10.0.0.2")), false);
});
