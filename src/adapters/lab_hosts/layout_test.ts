import assert from "node:assert/strict";
import { checkLabName, hostLayout, labId, labLayout, MAX_HOSTS, uplinkName } from "./layout.ts";

/** The kernel's limit of a device's name. */
const IFNAMSIZ = 15;

Deno.test("names fit what the kernel allows", () => {
  const lab = labLayout("a-name-of-20-letters", 254);
  assert.ok(uplinkName(lab.id).length <= IFNAMSIZ);
  const host = hostLayout(lab, 254, MAX_HOSTS);
  assert.ok(host.port.length <= IFNAMSIZ);
  assert.equal(host.address, "10.77.254.99");
});

Deno.test("labs of different names share no namespace", () => {
  assert.notEqual(labId("one"), labId("two"));
  assert.equal(labId("one"), labId("one"));
});

Deno.test("a lab's name is a plain word", () => {
  for (const name of ["a", "lab", "lab-2", "a23456789012345678x0"]) checkLabName(name);
  for (const name of ["", "Lab", "2lab", "../x", "a b", "-x", "a".repeat(21)]) {
    assert.throws(() => checkLabName(name), /invalid lab name/);
  }
});
