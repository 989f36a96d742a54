import type { Answer } from "./fake_agent.ts";

/** Knows every network, secret and config by any name. */
export const answerAnything: Answer = ({ path, query }) => {
  if (path.startsWith("/networks/")) {
    const name = path.slice("/networks/".length);
    return { Name: name, Id: `net-${name}` };
  }
  for (const [kind, prefix] of [["/secrets", "sec-"], ["/configs", "cfg-"]]) {
    if (path !== kind) continue;
    const filters = JSON.parse(query["filters"] ?? "{}") as { name?: Record<string, boolean> };
    return Object.keys(filters.name ?? {}).map((Name) => ({ ID: prefix + Name, Spec: { Name } }));
  }
  if (path === "/services/create") return { ID: "svc1", Warnings: null };
  return undefined;
};
