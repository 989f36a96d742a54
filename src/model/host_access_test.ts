import assert from "node:assert/strict";
import { devicesOf, isPrivileged, parseDevice } from "./host_access.ts";
import { validateServiceSpec } from "./validate_service.ts";

Deno.test("devices are written as docker run has them", () => {
  assert.deepEqual(parseDevice("/dev/fuse"), {
    host: "/dev/fuse",
    container: "/dev/fuse",
    permissions: "rwm",
  });
  assert.deepEqual(parseDevice("/dev/a:/dev/b:r"), {
    host: "/dev/a",
    container: "/dev/b",
    permissions: "r",
  });
  assert.equal(parseDevice("/dev/a:rw").permissions, "rw");
  for (const wrong of ["", "fuse", "/dev/a:", "/dev/a:x", "/dev/a:/dev/b:r:w", "/dev/a:r:w"]) {
    assert.throws(() => parseDevice(wrong), /write it as/, wrong);
  }
  assert.equal(devicesOf({ Labels: { "fleet.devices": "/dev/a, /dev/b" } }).length, 2);
  assert.throws(() => isPrivileged({ Labels: { "fleet.privileged": "yes" } }), /true or false/);
});

Deno.test("what only Windows has is refused with the reason", () => {
  const spec = (container: object) => ({
    Name: "web",
    TaskTemplate: { ContainerSpec: { Image: "a", ...container } },
  });
  assert.throws(
    () => validateServiceSpec(spec({ Privileges: { CredentialSpec: { File: "a" } } })),
    /credential specs are for Windows containers/,
  );
  assert.throws(
    () => validateServiceSpec(spec({ Mounts: [{ Type: "npipe", Source: "a", Target: "/a" }] })),
    /"npipe" is not supported on Linux/,
  );
});
