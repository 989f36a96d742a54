import assert from "node:assert/strict";
import { countInbound, inboundConnections, parseSockets } from "./connections.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
const row = (local: string, remote: string, state: string) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n`;

Deno.test("connections that came in from others are counted, in every state that can lose data", () => {
  const text = HEAD +
    row("00000000:0050", "00000000:0000", "0A") +
    row("0300000A:0050", "0200000A:C001", "01") +
    row("0300000A:0050", "0200000A:C002", "08") +
    row("0300000A:0050", "0200000A:C003", "06") +
    // The health check's, and one that the program opened itself.
    row("0100007F:0050", "0100007F:C004", "01") +
    row("0300000A:C005", "0500000A:1538", "01");
  assert.equal(countInbound(parseSockets(text)), 2);
});

Deno.test("IPv6 sockets that carry IPv4 count, and loopback does not", () => {
  const mapped = (hex: string) => `0000000000000000FFFF0000${hex}`;
  const text = HEAD +
    row("00000000000000000000000000000000:0050", "00000000000000000000000000000000:0000", "0A") +
    row(`${mapped("0300000A")}:0050`, `${mapped("0200000A")}:C001`, "01") +
    row(`${mapped("0100007F")}:0050`, `${mapped("0100007F")}:C002`, "01") +
    row("00000000000000000000000001000000:0050", "00000000000000000000000001000000:C003", "01");
  assert.equal(countInbound(parseSockets(text)), 1);
});

Deno.test("a process that is gone has no connections", async () => {
  assert.equal(await inboundConnections(2 ** 22 + 1), 0);
});
