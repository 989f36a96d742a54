import assert from "node:assert/strict";
import { FakeAgent } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { answerFixture } from "../testing/fixture.ts";
import { examine } from "./health.ts";
import type { Health } from "./health.ts";
import { findingsText } from "./findings.ts";

const NOW = Date.UTC(2026, 10, 20);
const WELL: Health = {
  Version: "1.2.0",
  TimeMs: NOW,
  Engine: { Version: "20.10", Problem: "" },
  Overlay: "",
  Kernel: { ipForwarding: true },
  Disks: [{ path: "/var/lib/fleet", free: 50e9, total: 100e9 }],
  Mtu: 1500,
  CertificateUntilMs: NOW + 30 * 86_400_000,
  Trial: false,
  RolledBack: "",
};
const problems = (changes: Partial<Health>) =>
  examine("n1", { ...WELL, ...changes }, NOW).filter(({ level }) => level !== "ok")
    .map(({ level, text, fix }) => `${level}: ${text} -> ${fix}`);

Deno.test("a node that is well has nothing to fix", () => {
  assert.deepEqual(problems({}), []);
});

Deno.test("each thing that is wrong is named, with what helps", () => {
  const expect = (changes: Partial<Health>, ...sentences: RegExp[]) => {
    const found = problems(changes);
    assert.equal(found.length, sentences.length, found.join("\n"));
    for (const [i, sentence] of sentences.entries()) assert.match(found[i]!, sentence);
  };
  expect({ TimeMs: NOW + 12_000 }, /warning: its clock is 12 seconds ahead .* NTP/);
  expect({ TimeMs: NOW - 120_000 }, /error: its clock is 2 minutes behind/);
  expect({ Disks: [{ path: "/d", free: 1, total: 100 }] }, /error: \/d: 1% free .*free some space/);
  expect(
    { CertificateUntilMs: NOW - 1 },
    /error: certificate has ended -> it is renewed as soon as a manager answers n1.*log/,
  );
  // One that lives for a day ends in less than a day, always: it matters whether it is overdue.
  expect(
    { CertificateUntilMs: NOW + 3_600_000 },
    /warning: certificate ends in .* and was not renewed/,
  );
  expect({ CertificateUntilMs: NOW + 3_600_000, CertificateDueMs: NOW + 60_000 });
  expect(
    { CertificateUntilMs: NOW + 10 * 86_400_000, CertificateDueMs: NOW - 60_000 },
    /warning: certificate ends in .* and was not renewed .*-> .*log/,
  );
  expect(
    { Engine: { Version: "20.10", Problem: "the engine's own swarm mode is active" } },
    /error: the engine's own swarm mode .*docker swarm leave --force/,
  );
  expect({ Overlay: "the kernel has no vxlan" }, /error: no overlay networks/);
  expect({ Kernel: { ...WELL.Kernel, overlayfs: false } }, /warning: .* no overlayfs.*modprobe/);
  const networks = (Drift: number, Problems = {}) => ({
    Networks: { Mesh: "ipvs", Drift, Problems },
  });
  expect(networks(0));
  expect(networks(3), /warning: 3 of its network settings were changed by others .* -> look for/);
  expect(networks(0, { back: "no free port" }), /error: back: no free port -> it is tried again/);
  expect({ RolledBack: "1.3.0" }, /warning: an upgrade to 1\.3\.0 did not come up/);
});

Deno.test("troubles stand first, each with its fix below it, and a sum at the end", () => {
  const text = findingsText([
    { level: "ok", subject: "a", text: "fine" },
    { level: "error", subject: "b", text: "broken", fix: "mend it" },
  ]);
  assert.equal(
    text,
    "error    b: broken\n         -> mend it\nok       a: fine\n\n1 check is fine, 0 warnings, 1 error.\n",
  );
});

Deno.test("a node without an agent is not called well", async () => {
  const { code, out } = await runFleet(["doctor"], { host: "unix:///nonexistent/fleet.sock" });
  assert.equal(code, 1);
  assert.match(out, /error +this node: cannot reach a fleet agent/);
  assert.doesNotMatch(out, /in no cluster/);
});

Deno.test("without a quorum this node is examined and the others are not blamed", async () => {
  await using agent = new FakeAgent((request) => {
    if (request.path === "/fleet/self/health") return WELL;
    if (request.path !== "/fleet/info") return answerFixture(request);
    return { Managers: 3, ManagersReachable: 1, Tolerance: "1 of 3 managers answers." };
  });
  const { code, out } = await runFleet(["doctor"], { host: agent.host });
  assert.equal(code, 1);
  assert.match(out, /error +cluster: 1 of 3 managers answers\.\n +-> fleet recover --dry-run/);
  assert.match(out, /warning +h2: not asked: the quorum is lost\n +-> fleet recover --dry-run/);
  assert.match(out, /ok +h1: /);
  assert.doesNotMatch(out, /does not answer|systemctl restart/);
});
