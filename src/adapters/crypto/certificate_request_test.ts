import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { createKeyAndCsr, parseCsr } from "./certificate_request.ts";
import { pem } from "./pem.ts";
import { openssl, withFiles } from "./test_support.ts";

const REFUSED = { kind: "invalid", message: /^invalid certificate request: / } as const;
const wrap = (der: Uint8Array) => pem("CERTIFICATE REQUEST", der);
const der = (csrPem: string) =>
  Uint8Array.from(Buffer.from(csrPem.split(/-----.*-----/)[1]!, "base64"));

Deno.test("openssl accepts our request, and we take its key out again", async () => {
  const { csrPem, keyPem } = createKeyAndCsr();
  assert.match(await openssl(["req", "-noout", "-verify", "-text"], csrPem), /256 bit/);
  const key = createPublicKey(keyPem).export({ type: "spki", format: "der" });
  assert.deepEqual(parseCsr(csrPem), new Uint8Array(key));
});

Deno.test("a request made by openssl is good, whatever subject it asks for", () =>
  withFiles({}, async (path) => {
    const key = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("key")];
    await openssl(key);
    await openssl([
      ...["req", "-new", "-key", path("key"), "-subj", "/O=c/OU=swarm-manager/CN=root"],
      ...["-addext", "subjectAltName=DNS:swarm-ca", "-out", path("csr")],
    ]);
    const spki = parseCsr(await Deno.readTextFile(path("csr")));
    const theirs = await openssl(["pkey", "-in", path("key"), "-pubout"]);
    assert.equal(pem("PUBLIC KEY", spki), theirs);
  }));

Deno.test("keys of other kinds are refused by name", () =>
  withFiles({}, async (path) => {
    const make = async (...args: string[]) => {
      await openssl(["genpkey", ...args, "-out", path("key")]);
      return await openssl(["req", "-new", "-key", path("key"), "-subj", "/CN=x"]);
    };
    for (
      const csrPem of [
        await make("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        await make("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp384r1"),
        await make("-algorithm", "ED25519"),
      ]
    ) assert.throws(() => parseCsr(csrPem), { ...REFUSED, message: /P-256/ });
  }));

Deno.test("a request with any byte changed is refused, and none crashes", () => {
  const good = der(createKeyAndCsr().csrPem);
  for (let i = 0; i < good.length; i++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const changed = good.slice();
      changed[i]! ^= flip;
      assert.throws(() => parseCsr(wrap(changed)), REFUSED, `byte ${i} ^ ${flip}`);
    }
  }
  for (let length = 0; length < good.length; length++) {
    assert.throws(() => parseCsr(wrap(good.slice(0, length))), REFUSED);
  }
  assert.throws(() => parseCsr(wrap(new Uint8Array([...good, 0]))), REFUSED);
});

Deno.test("garbage, deep nesting and size are refused", () => {
  fc.assert(fc.property(fc.string(), fc.uint8Array({ maxLength: 600 }), (text, bytes) => {
    assert.throws(() => parseCsr(text), REFUSED);
    assert.throws(() => parseCsr(wrap(bytes)), REFUSED);
  }));
  const deep = new Uint8Array(5_000);
  for (let i = 0; i < deep.length; i += 2) deep.set([0x30, 0x80], i);
  assert.throws(() => parseCsr(wrap(deep)), REFUSED);
  const lengths = new Uint8Array(5_000);
  for (let i = 0; i + 4 <= lengths.length; i += 4) {
    const left = lengths.length - i - 4;
    lengths.set([0x30, 0x82, left >> 8, left & 0xff], i);
  }
  assert.throws(() => parseCsr(wrap(lengths)), REFUSED);
  assert.throws(() => parseCsr(wrap(new Uint8Array(8_000))), {
    ...REFUSED,
    message: /longer than/,
  });
});
