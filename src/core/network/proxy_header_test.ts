import assert from "node:assert/strict";
import { proxyHeader } from "./proxy_header.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";

Deno.test("the PROXY header of IPv4: client, then what it asked for, big-endian", () => {
  const client = { hostname: "192.0.2.7", port: 0xabcd };
  const asked = { hostname: "198.51.100.1", port: 443 };
  const expected = `${SIGNATURE}2111000cc0000207c6336401abcd01bb`;
  assert.equal(proxyHeader(client, asked).toHex(), expected);
  const mapped = { hostname: "::ffff:192.0.2.7", port: 0xabcd };
  assert.equal(
    proxyHeader(mapped, { ...asked, hostname: "::ffff:198.51.100.1" }).toHex(),
    expected,
  );
});

Deno.test("the PROXY header of IPv6, short forms and zones included", () => {
  const header = proxyHeader({ hostname: "2001:db8::7", port: 1 }, { hostname: "::1", port: 2 });
  const [client, asked] = [`20010db8${"0".repeat(22)}07`, `${"0".repeat(30)}01`];
  assert.equal(header.toHex(), `${SIGNATURE}21210024${client}${asked}00010002`);
  const whole = "fe80:1:2:3:4:5:6:7";
  const zoned = proxyHeader({ hostname: `${whole}%eth0`, port: 1 }, {
    hostname: "fe80::",
    port: 2,
  });
  assert.equal(
    zoned.toHex().slice(32, 96),
    "fe800001000200030004000500060007fe800000000000000000000000000000",
  );
});
