import assert from "node:assert/strict";
import * as crypto from "../../adapters/crypto/certificates.ts";
import { SeededRandom } from "../../base/random.ts";
import type { LogLevel } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import type { IssueReply } from "../manager/certificate_authority.ts";
import type { RpcCaller } from "../rpc.ts";
import { HeldCredentials } from "./identity.ts";
import type { Trust } from "./ports.ts";
import { Renewal } from "./renewal.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const trust: Trust = { ...crypto, verify: crypto.verifyCertificate, equal: crypto.equalTexts };

interface Call {
  readonly route: string;
  readonly body: { csr: string; certPem?: string; signature?: string };
  readonly atMs: number;
  readonly anonymous: boolean;
}

/** A node and its cluster, in which `refusal` says why nothing is signed. */
function world(options: { seed?: number; validityMs?: number; signHere?: boolean } = {}) {
  const clock = new ManualClock();
  const root = trust.createRootCa(clock.now());
  const calls: Call[] = [];
  const lines: { level: LogLevel; message: string }[] = [];
  const state = { refusal: undefined as string | undefined };
  const sign = (csrPem: string): IssueReply => ({
    nodeId: "n1",
    role: "manager",
    clusterId: "c1",
    caPem: root.certPem,
    certPem: trust.issue({
      caCertPem: root.certPem,
      caKeyPem: root.keyPem,
      csrPem,
      nodeId: "n1",
      role: "manager",
      clusterId: "c1",
      nowMs: clock.now(),
      validityMs: options.validityMs ?? 90 * DAY,
    }).certPem,
  });
  const caller = (anonymous: boolean) => ({
    call: (route: string, body: Call["body"]) => {
      calls.push({ route, body, atMs: clock.now(), anonymous });
      if (state.refusal) return Promise.reject(new Error(state.refusal));
      return Promise.resolve(sign(body.csr));
    },
    close: () => {},
  } as unknown as RpcCaller);
  const { keyPem, csrPem } = trust.createKeyAndCsr();
  const credentials = new HeldCredentials({
    caPem: root.certPem,
    certPem: sign(csrPem).certPem,
    keyPem,
  });
  const logger = {
    log: (level: LogLevel, message: string) => void lines.push({ level, message }),
    with: () => logger,
  };
  const renewal = new Renewal({
    credentials,
    trust,
    clock,
    random: new SeededRandom(options.seed ?? 1),
    logger,
    dialer: { connect: () => Promise.resolve(caller(false)) },
    dialAnonymously: () => Promise.resolve(caller(true)),
    managers: () => ["10.0.0.1:2377"],
    signHere: (csr) => options.signHere ? sign(csr) : undefined,
    onRenewed: () => Promise.resolve(),
  });
  const warnings = () =>
    lines.filter(({ level, message }) => level === "warn" && /^the certificate of/.test(message))
      .map(({ message }) => message);
  return { clock, renewal, calls, credentials, state, warnings };
}

Deno.test("a certificate is renewed between half and four fifths of its life, each node at its own time", async () => {
  const shares = new Set<number>();
  for (let seed = 1; seed <= 20; seed++) {
    const { clock, renewal, calls, credentials } = world({ seed });
    const before = trust.inspect(credentials.current().certPem);
    renewal.start();
    await clock.advance(0.8 * 90 * DAY + HOUR);
    renewal.stop();
    assert.equal(calls.length, 1);
    const { notBeforeMs, notAfterMs } = before;
    const share = (calls[0]!.atMs - notBeforeMs) / (notAfterMs - notBeforeMs);
    assert(share >= 0.5 && share <= 0.8, `renewed at ${share}`);
    shares.add(Math.round(share * 100));
    assert.notEqual(trust.inspect(credentials.current().certPem).keyId, before.keyId);
  }
  assert(shares.size > 5, `all at ${[...shares]}`);
});

Deno.test("once a renewal is overdue a warning comes, and again at 7 days and 1, once each", async () => {
  const { clock, renewal, state, warnings, calls } = world();
  state.refusal = "no leader";
  renewal.start();
  await clock.advance(71 * DAY);
  assert.deepEqual(warnings(), [], "healthy nodes renew until day 72");
  await clock.advance(2 * DAY);
  assert.equal(warnings().length, 1);
  await clock.advance(16 * DAY + 23 * HOUR);
  assert.equal(warnings().length, 3, warnings().join());
  assert.match(warnings()[2]!, /node n1 expires within a day|expires in 1 day/);
  state.refusal = undefined;
  await clock.advance(HOUR);
  assert(!calls.at(-1)!.anonymous);
  await clock.advance(20 * DAY);
  assert.equal(warnings().length, 3);
  renewal.stop();
});

Deno.test("a machine that was off for long renews at once, and complains only when that fails", async () => {
  const { clock, renewal, warnings, calls } = world();
  await clock.advance(80 * DAY);
  renewal.start();
  await clock.advance(HOUR);
  assert.equal(calls.length, 1);
  assert.deepEqual(warnings(), []);
  renewal.stop();
});

Deno.test("a certificate that has ended is renewed by a proof of its key, without showing it to TLS", async () => {
  const { clock, renewal, calls, credentials } = world();
  const { certPem, keyPem } = credentials.current();
  await clock.advance(120 * DAY);
  renewal.start();
  await clock.advance(1);
  const [{ route, body, anonymous }] = calls as [Call];
  assert.deepEqual([route, anonymous, body.certPem], ["ca.renew", true, certPem]);
  const text = `fleet: node n1 of cluster c1 renews its certificate for ${body.csr}`;
  assert(trust.signedText(certPem, text, body.signature!));
  assert(!trust.signedText(certPem, text + " ", body.signature!));
  assert.notEqual(credentials.current().keyPem, keyPem);
  assert(trust.inspect(credentials.current().certPem).notAfterMs > clock.now());
  renewal.stop();
});

Deno.test("a manager with the root's key signs for itself, and has the cluster note it after that", async () => {
  const { clock, renewal, calls } = world({ signHere: true });
  await clock.advance(120 * DAY);
  renewal.start();
  await clock.advance(0);
  assert.equal(calls.length, 0);
  await clock.advance(1_000);
  assert.deepEqual(calls.map(({ route, anonymous }) => [route, anonymous]), [["ca.issue", false]]);
  renewal.stop();
});
