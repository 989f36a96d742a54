import assert from "node:assert/strict";
import { FakeEngine } from "../../../tests/support/fake_engine.ts";
import { EngineError } from "./engine.ts";
import { Images, PullError, pullProblem, splitTag } from "./images.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const never = new AbortController().signal;

Deno.test("references are split as the pull call wants them", () => {
  assert.deepEqual(splitTag("busybox"), { name: "busybox", tag: "latest" });
  assert.deepEqual(splitTag("r:5000/a/b"), { name: "r:5000/a/b", tag: "latest" });
  assert.deepEqual(splitTag("r:5000/a/b:1.2"), { name: "r:5000/a/b", tag: "1.2" });
  assert.deepEqual(splitTag(`r:5000/a:1@${DIGEST}`), { name: "r:5000/a", tag: DIGEST });
});

Deno.test("an engine's sentence tells what is wrong with a pull", () => {
  const lookup =
    'Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host';
  for (
    const [message, problem] of [
      ["manifest for a:b not found: manifest unknown", "not-found"],
      ['Head "http://r/v2/p/manifests/1": no basic auth credentials', "unauthorized"],
      [
        "pull access denied for p, repository does not exist or may require 'docker login'",
        "unauthorized",
      ],
      [lookup, "unreachable"],
      ["dial tcp 127.0.0.1:5998: connect: connection refused", "unreachable"],
      ["no space left on device", "other"],
    ] as const
  ) assert.equal(pullProblem({ status: 500, message }), problem, message);
});

Deno.test("an image named by its digest is not pulled again", async () => {
  const engine = new FakeEngine();
  engine.images.add(`app@${DIGEST}`);
  await new Images(engine).ensure(`app@${DIGEST}`, undefined, never);
  assert.deepEqual(engine.pulls, []);
  engine.registry.add(`other@${DIGEST}`);
  await new Images(engine).ensure(`other@${DIGEST}`, "credentials", never);
  assert.deepEqual(engine.pulls, [{ image: `other@${DIGEST}`, auth: "credentials" }]);
});

Deno.test("a tag is pulled, but an image that is here will do", async () => {
  const engine = new FakeEngine();
  await new Images(engine).ensure("busybox", undefined, never);
  assert.equal(engine.pulls.length, 1);
  await assert.rejects(new Images(engine).ensure("nowhere:1", undefined, never), (error) => {
    assert.ok(error instanceof PullError);
    assert.equal(error.problem, "not-found");
    assert.match(
      error.message,
      /^cannot pull image nowhere:1: no such image: manifest for nowhere:1/,
    );
    return true;
  });
});

Deno.test("replicas that arrive together share one pull; later ones pull again", async () => {
  const engine = new FakeEngine();
  engine.registry.add("app:1");
  let now = 0;
  const images = new Images(engine, () => now);
  await Promise.all(Array.from({ length: 30 }, () => images.ensure("app:1", undefined, never)));
  now = 5_000;
  await images.ensure("app:1", undefined, never);
  assert.equal(engine.pulls.length, 1);
  await images.ensure("app:1", "other credentials", never);
  assert.equal(engine.pulls.length, 2);
  now = 20_000;
  await images.ensure("app:1", undefined, never);
  assert.equal(engine.pulls.length, 3);
});

Deno.test("a failed pull is not remembered", async () => {
  const engine = new FakeEngine();
  const images = new Images(engine);
  await assert.rejects(images.ensure("app:1", undefined, never), PullError);
  engine.registry.add("app:1");
  await images.ensure("app:1", undefined, never);
});

Deno.test("a pull that nobody waits for any more is given up; one waiter keeps it", async () => {
  const engine = new FakeEngine();
  engine.registry.add("big:1");
  const held = Promise.withResolvers<void>();
  engine.beforeAnswer = (_, path) => path.startsWith("/images/create") ? held.promise : undefined;
  const images = new Images(engine);
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [first, second].map(({ signal }) => images.ensure("big:1", undefined, signal));
  first.abort(new Error("service removed"));
  await assert.rejects(waits[0]!, /service removed/);
  held.resolve();
  await waits[1];
  assert.ok(engine.images.has("big:1"));
});

Deno.test("an engine that is away is no missing image", async () => {
  const engine = new FakeEngine();
  engine.goDown();
  await assert.rejects(
    new Images(engine).ensure("busybox", undefined, never),
    (error) => !(error instanceof PullError) && !(error instanceof EngineError),
  );
});
