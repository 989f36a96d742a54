import assert from "node:assert/strict";
import fc from "fast-check";
import { updateCapabilities } from "../../src/model/capabilities.ts";
import { parseFileReference } from "./file_reference.ts";
import { parseMount } from "./mount.ts";
import { networkRequest } from "./network.ts";
import { parseNetworkAttachment } from "./network_attachment.ts";
import { parseFields } from "./pairs.ts";
import { genericResources, healthcheck, hostEntry } from "./parts.ts";
import { parsePublish } from "./publish.ts";
import { shellWords } from "../../src/base/shell_words.ts";
import { parseUlimit } from "./ulimit.ts";
import {
  parseBytes,
  parseCpus,
  parseNonNegativeDuration,
  parseRatio,
  parseUint,
} from "./values.ts";

Deno.test("values have their units", () => {
  assert.equal(parseBytes("1.5g"), 1_610_612_736);
  assert.equal(parseBytes("64KiB"), 65_536);
  assert.equal(parseBytes("12"), 12);
  assert.equal(parseCpus(".5"), 500_000_000);
  assert.equal(parseUint("007"), 7);
  assert.equal(parseRatio("0.25"), 0.25);
  assert.equal(parseNonNegativeDuration("1m30s"), 90_000_000_000);
});

/** Every refusal is one sentence that names the text. */
const REFUSED: readonly (readonly [() => unknown, RegExp])[] = [
  [() => parseBytes("many"), /"many" is no size: write it like 64m or 1.5g/],
  [() => parseBytes("1x"), /no size/],
  [() => parseCpus("1.2.3"), /no number of CPUs/],
  [() => parseCpus("."), /no number of CPUs/],
  [() => parseUint("-1"), /"-1" is not a whole number from 0 up/],
  [() => parseUint("99999999999999999999"), /too large/],
  [() => parseRatio("1.1"), /not a number between 0 and 1/],
  [() => parseRatio(""), /not a number between 0 and 1/],
  [() => parseNonNegativeDuration("-1s"), /negative/],
  [() => parseNonNegativeDuration("soon"), /invalid duration "soon"/],
  [() => parseMount("type=foo,target=/x"), /unknown type "foo"; it is one of bind, volume, tmpfs/],
  [() => parseMount("type=bind,target=/x"), /type=bind needs a source/],
  [() => parseMount("type=volume,source=a"), /target is required/],
  [() => parseMount("type=tmpfs,source=a,target=/x"), /type=tmpfs has no source/],
  [() => parseMount("type=bind,source=/a,target=/x,tmpfs-size=1m"), /do not go with type=bind/],
  [() => parseMount("target=/x,colour=red"), /unknown field "colour"/],
  [() => parseMount("target=/x,readonly=maybe"), /readonly is true or false, not "maybe"/],
  [() => parseMount("type=bind,src=/a,dst=/b,bind-propagation=x"), /bind-propagation is one of/],
  [() => parseMount("type=tmpfs,dst=/b,tmpfs-mode=999"), /no file mode/],
  [() => parsePublish("70000"), /"70000" is no port number/],
  [() => parsePublish("a:80"), /"a" is no port number/],
  [() => parsePublish("1-3:4-5"), /both ranges must have the same length/],
  [() => parsePublish("10.0.0.1:80:80"), /not possible for services/],
  [() => parsePublish("80/icmp"), /protocol is one of tcp, udp, sctp/],
  [() => parsePublish("published=80"), /target is required/],
  [() => parsePublish("target=80,mode=vip"), /mode is ingress or host/],
  [() => parsePublish("target=80,x=1"), /unknown field "x"/],
  [
    () => parsePublish("target=80,published=80,mode=host,source=preserve"),
    /source is for mode ingress/,
  ],
  [() => parseFileReference("secret", "target=/x"), /source is required/],
  [() => parseFileReference("config", "source=a,mode=9"), /no file mode/],
  [() => parseFileReference("config", "source=a,b=9"), /unknown field "b"/],
  [() => parseNetworkAttachment("alias=x"), /name is required/],
  [() => parseUlimit("nofile"), /name=soft\[:hard\]/],
  [() => parseUlimit("nofile=20:10"), /soft limit is above the hard one/],
  [() => genericResources(["gpu"]), /name=count/],
  [() => hostEntry("db"), /name:address/],
  [() => shellWords("a 'b"), /open quote/],
  [() => healthcheck({ noHealthcheck: true, healthCmd: "x" }, undefined), /does not go with/],
  [() => networkRequest("n", { subnet: ["10.0.0.0"] }), /no subnet/],
  [() => networkRequest("n", { subnet: ["10.0.0.0/24"], gateway: ["10.1.0.1"] }), /none of the/],
];

Deno.test("what cannot be meant is refused in one sentence", () => {
  for (const [parse, message] of REFUSED) {
    assert.throws(parse, { name: "FleetError", kind: "invalid", message }, String(parse));
  }
});

Deno.test("fields may hold commas in quotes", () => {
  assert.deepEqual(parseFields('type=volume,"volume-opt=o=addr=1.2.3.4,rw",ro'), [
    { key: "type", value: "volume" },
    { key: "volume-opt", value: "o=addr=1.2.3.4,rw" },
    { key: "ro", value: undefined },
  ]);
});

Deno.test("command lines split as a shell splits them", () => {
  assert.deepEqual(shellWords(`a 'b c' "d \\"e" f\\ g '' "$x"`), [
    "a",
    "b c",
    'd "e',
    "f g",
    "",
    "$x",
  ]);
});

Deno.test("any words survive quoting and splitting", () => {
  fc.assert(fc.property(fc.array(fc.string()), (words) => {
    const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    assert.deepEqual(shellWords(line), words);
  }));
});

Deno.test("dropping an added capability takes it back first, then drops it", () => {
  let now = { add: ["CAP_NET_ADMIN"], drop: [] as string[] } as {
    add: readonly string[];
    drop: readonly string[];
  };
  now = updateCapabilities(now, [], ["net_admin"]);
  assert.deepEqual(now, { add: [], drop: [] });
  now = updateCapabilities(now, [], ["net_admin"]);
  assert.deepEqual(now, { add: [], drop: ["CAP_NET_ADMIN"] });
  assert.deepEqual(updateCapabilities(now, [], ["RESET"]), { add: [], drop: [] });
});

Deno.test("a network's gateways and ranges go to the subnet that holds them", () => {
  const request = networkRequest("n", {
    subnet: ["10.9.0.0/24", "10.8.0.0/16"],
    gateway: ["10.8.0.1"],
    ipRange: ["10.9.0.128/25"],
    auxAddress: ["printer=10.8.4.4"],
  });
  assert.deepEqual((request["IPAM"] as { Config: unknown }).Config, [
    { Subnet: "10.9.0.0/24", IPRange: "10.9.0.128/25" },
    { Subnet: "10.8.0.0/16", Gateway: "10.8.0.1", AuxiliaryAddresses: { printer: "10.8.4.4" } },
  ]);
});
