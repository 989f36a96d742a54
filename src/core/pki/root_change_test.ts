import assert from "node:assert/strict";
import type { RootCA } from "../../model/cluster.ts";
import { changeRoot, needsExternalCrossSignature } from "./root_change.ts";
import type { PreparedRoot } from "./root_change.ts";
import { trustBundle } from "./roots.ts";
import type { RootTools } from "./roots.ts";

const pem = (name: string) =>
  `-----BEGIN CERTIFICATE-----\n${name}AAA\n-----END CERTIFICATE-----\n`;
const nameIn = (text: string) => /\n(\w)AAA/.exec(text)![1]!;

/** Roots are letters: the certificate of `b` has the key `key-b`. */
function tools(): RootTools {
  let next = "n";
  return {
    createRootCa: () => {
      const name = next;
      next = "m";
      return { certPem: pem(name), keyPem: `key-${name}` };
    },
    checkRootCa: (certPem, keyPem) => {
      if (keyPem !== undefined && keyPem !== `key-${nameIn(certPem)}`) throw new Error("no pair");
      return { subjectDerBase64: "ca", keyDerBase64: `public-${nameIn(certPem)}` };
    },
    crossSign: ({ newRootPem, oldRootPem, oldKeyPem }) => {
      assert.equal(oldKeyPem, `key-${nameIn(oldRootPem)}`);
      return `${nameIn(newRootPem)} by ${nameIn(oldRootPem)}`;
    },
    caDigest: (text) => text,
  };
}

const A: RootCA = {
  CACert: pem("a"),
  CAKey: "key-a",
  JoinTokens: { Worker: "w", Manager: "m" },
  Issuer: { Subject: "ca", PublicKey: "public-a" },
};

const change = (
  config: Parameters<typeof changeRoot>[0]["config"],
  root: RootCA = A,
  prepared?: PreparedRoot,
) => changeRoot({ root, config, tools: tools(), nowMs: 0, ...(prepared ? { prepared } : {}) });

Deno.test("a spec that asks for nothing changes nothing, also when it comes back as it was told", () => {
  assert.deepEqual(change({}), A);
  const once = change({ ForceRotate: 1 });
  assert.deepEqual(change({ ForceRotate: 1 }, once), once);
  // A client that leaves the count out, or has an old one, does not mean another root.
  assert.deepEqual(change({}, once), once);
  assert.equal(change({ ForceRotate: 0 }, once).Rotation, once.Rotation);
});

Deno.test("a higher count makes a new root that the old one signs; trust and tokens stay", () => {
  const next = change({ ForceRotate: 1 });
  assert.deepEqual(next.Rotation, {
    CACert: pem("n"),
    CAKey: "key-n",
    CrossSignedCACert: "n by a",
    Issuer: { Subject: "ca", PublicKey: "public-n" },
    StartedAt: "1970-01-01T00:00:00.000Z",
  });
  assert.equal(next.LastForcedRotation, 1);
  assert.deepEqual({ ...next, Rotation: undefined, LastForcedRotation: undefined }, {
    ...A,
    Rotation: undefined,
    LastForcedRotation: undefined,
  });
  assert.equal(trustBundle(next), pem("a") + pem("n"));
});

Deno.test("another rotation takes the place of one that is under way, signed by the root in force", () => {
  const once = change({ ForceRotate: 1 });
  const twice = change({ SigningCACert: pem("b"), SigningCAKey: "key-b" }, once);
  assert.equal(twice.Rotation?.CrossSignedCACert, "b by a");
  assert.equal(trustBundle(twice), pem("a") + pem("b"));
});

Deno.test("naming the root in force ends a rotation", () => {
  const once = change({ ForceRotate: 1 });
  const back = change({ SigningCACert: "noise\n" + pem("a"), ForceRotate: 1 }, once);
  assert.equal(back.Rotation, undefined);
  assert.equal(back.CAKey, "key-a");
  assert.equal(trustBundle(back), pem("a"));
});

Deno.test("what cannot work is refused with what is missing", () => {
  const refused = (config: Parameters<typeof change>[0], message: RegExp, root = A) =>
    assert.throws(() => change(config, root), { kind: "invalid", message });
  refused({ SigningCAKey: "key-b" }, /cert must also be provided/);
  refused({ SigningCACert: "nonsense" }, /cannot be read/);
  refused({ SigningCACert: pem("b") }, /no external CA is set for this root/);
  const external = { Protocol: "cfssl", URL: "https://ca" };
  // It signs for the root in force, not for the new one.
  refused({ SigningCACert: pem("b"), ExternalCAs: [external] }, /no external CA is set/);
  const { CAKey: _, ...withoutKey } = A;
  refused({}, /no external CA is set for this root/, withoutKey);
  const sameKey = { ...A, CACert: pem("x") };
  refused(
    { SigningCACert: pem("a"), SigningCAKey: "key-a" },
    /has the key of the one in force/,
    sameKey,
  );
});

Deno.test("an external CA that has the new root's key needs to sign, one that has the old one's too", () => {
  const external = { Protocol: "cfssl", URL: "https://ca", CACert: pem("b") };
  const out = change({ SigningCACert: pem("b"), ExternalCAs: [external] });
  assert.equal(out.Rotation?.CAKey, undefined);
  const { CAKey: _, ...kept } = { ...A, CACert: pem("b") };
  assert(needsExternalCrossSignature(kept, { kind: "generate" }));
  assert(!needsExternalCrossSignature(A, { kind: "generate" }));
  const prepared = { certPem: pem("c"), keyPem: "key-c", crossSignedPem: "c by b" };
  const back = change({ ForceRotate: 1, ExternalCAs: [external] }, kept, prepared);
  assert.equal(back.Rotation?.CrossSignedCACert, "c by b");
});
