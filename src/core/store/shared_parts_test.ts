import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { SharedParts } from "./shared_parts.ts";

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

Deno.test("equal specs of one service are one object; what differs stays apart, nothing changes", () => {
  const parts = new SharedParts();
  const one = parts.share(makeTask("one"));
  const two = makeTask("two");
  const shared = parts.share(two);
  assert.equal(shared.Spec, one.Spec);
  assert.deepEqual(shared, copy(two));
  const other = parts.share(makeTask("three", { container: { Image: "other" } }));
  assert.notEqual(other.Spec, one.Spec);
  assert.equal(other.Spec?.ContainerSpec?.Image, "other");
  const foreign = parts.share(makeTask("four", { ServiceID: "another" }));
  assert.notEqual(foreign.Spec, one.Spec);
});
