import assert from "node:assert/strict";
import { withFileLock } from "./lock.ts";

Deno.test("one holder at a time; whoever waits too long is told by whom", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/lock`;
    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const first = withFileLock(path, "it", 0, async () => {
      held.resolve();
      await release.promise;
      return 1;
    });
    await held.promise;
    await assert.rejects(
      withFileLock(path, "it", 0, () => Promise.resolve()),
      new RegExp(`it is in use by process ${Deno.pid}`),
    );
    const waiting = withFileLock(path, "it", 10_000, () => Promise.resolve(2));
    release.resolve();
    assert.deepEqual(await Promise.all([first, waiting]), [1, 2]);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
