import type { Context } from "hono";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";

/** Answers with what `look` sees; says so when no majority confirmed that it is the newest. */
export async function read(
  context: Context,
  backend: Backend,
  look: (view: View) => unknown,
): Promise<Response> {
  const { value, stale } = await backend.read(look, context.req.raw.signal);
  if (stale) context.header("Fleet-Stale", "true");
  return context.json(value as object);
}
