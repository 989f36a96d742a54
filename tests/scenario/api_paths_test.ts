/** Paths, ids and control bytes where a route expects a name: every route that takes one, whoever adds it. */
import assert from "node:assert/strict";
import { FrontRequest } from "../../src/api/front/front_request.ts";
import { api } from "./cluster_api.ts";

const EVIL = [
  ...["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e", "..", ".", "%2e%2e", "a%2fb"],
  ...[
    "a%00b",
    "%0d%0aSet-Cookie:%20x",
    "a%0a2026-01-01T00:00:00.000Z%20error%20forged",
    "%1b%5b2J",
  ],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "%ff%fe", "%", "%zz", "%u0041"],
  ...["*", "%27%22%3c%3e", "$(id)", "%60id%60", "-x", "%20", "%F0%9F%92%A9", "x".repeat(5_000)],
];
/** Parts of a pattern that take what the caller wrote; one may name the words it takes in braces. */
const PARAMETER = /:\w+(?:\{[^}]*\})?|\*/g;
/** A request that takes longer hangs. */
const LONGEST_MS = 20_000;

Deno.test("paths, ids and control bytes in every route: a sentence, nothing changed", async (t) => {
  const { app, store, asked, routes } = api();
  const open = routes.filter(({ path }) => path.match(PARAMETER));
  assert(open.length > 25, `only ${open.length} routes take something`);
  const before = store.index;
  for (const { method, path } of open) {
    const verb = method === "ALL" ? "GET" : method;
    await t.step(`${verb} ${path}`, async () => {
      for (const text of EVIL) {
        const target = `/v1.41${path.replace(PARAMETER, () => text)}?version=1`;
        const head = { method: verb, target, headers: [["content-type", "application/json"]] };
        const request = new FrontRequest(
          head as unknown as ConstructorParameters<typeof FrontRequest>[0],
          new TextEncoder().encode("{}"),
        );
        const begun = performance.now();
        const response = await app(request.asRequest());
        const body = await response.text();
        const what = `${target.slice(0, 120)}: ${response.status} ${body.slice(0, 200)}`;
        assert(performance.now() - begun < LONGEST_MS, what);
        assert(response.status < 500 || response.status === 501 || response.status === 503, what);
        if (response.status >= 400) {
          const { message } = JSON.parse(body) as { message?: unknown };
          assert(typeof message === "string" && message !== "", what);
        }
        assert.equal(response.headers.get("set-cookie"), null, what);
        assert.equal(store.index, before, `${what}: changed something`);
      }
    });
  }
  // What goes on to the engine goes as it came, not decoded.
  // deno-lint-ignore no-control-regex
  for (const target of asked) assert.doesNotMatch(target, /[\x00-\x20\x7f]/);
});
