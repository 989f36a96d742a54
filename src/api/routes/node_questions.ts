import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import type { Backend, NodeAnswer } from "../backend.ts";
import { targetOf } from "../engine_fetch.ts";
import { lookUp } from "./lookup.ts";

/** What only looks, and what changes the node. */
const LOOKS = "about|health|reach|echo|probe";
/** Answers are short; a longer one is none. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Nodes speak of themselves, under /fleet/: this one without a cluster, the others through the managers. */
export function nodeQuestionRoutes(app: Hono, backend: Backend): void {
  const self = (c: Context, what: string) =>
    backend.askSelf(`${what}${queryOf(c)}`, c.req.raw.signal);
  const other = async (c: Context, what: string) => {
    const reference = c.req.param("id") ?? "";
    const { value: id } = await backend.read((view) => lookUp(view, "node", reference).ID);
    return await backend.askNode(id, `${what}${queryOf(c)}`, c.req.raw.signal);
  };
  app.get(`/fleet/self/:what{${LOOKS}}`, async (c) => whole(await self(c, c.req.param("what"))));
  app.post("/fleet/self/upgrade", async (c) => whole(await self(c, "upgrade")));
  app.get(
    `/fleet/nodes/:id/:what{${LOOKS}}`,
    async (c) => whole(await other(c, c.req.param("what"))),
  );
  app.post("/fleet/nodes/:id/upgrade", async (c) => whole(await other(c, "upgrade")));
}

function queryOf(c: Context): string {
  const query = targetOf(c).split("?", 2)[1];
  return query ? `?${query}` : "";
}

async function whole(answer: NodeAnswer): Promise<Response> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.length;
    if (size > MAX_ANSWER_BYTES) throw new FleetError("invalid", "the node's answer is too long");
    parts.push(part);
  }
  const body = new Blob(parts as Uint8Array<ArrayBuffer>[]);
  return new Response(body, {
    status: answer.status,
    headers: { "content-type": answer.contentType },
  });
}
