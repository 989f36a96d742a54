import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { obj, opt, str } from "../../model/json.ts";
import { LINK_LIFE_MS } from "../ui/sessions.ts";
import type { UiRole } from "../ui/sessions.ts";
import { bodyOf } from "./query.ts";

/** Makes links that log in to the dashboard; absent on an agent that serves none. */
export interface UiLinks {
  create(role: UiRole, user: string): string;
}

/** `POST /fleet/ui/links`: whoever may use the socket may look at, and change, all there is. */
export function uiRoutes(app: Hono, links: () => UiLinks | undefined, actor: string): void {
  app.post("/fleet/ui/links", async (c) => {
    const { Role = "operator" } = await bodyOf(c, obj({ Role: opt(str) }), "link");
    if (Role !== "operator" && Role !== "read-only") {
      throw new FleetError("invalid", `role "${Role}" is neither operator nor read-only`);
    }
    const made = links();
    if (!made) {
      throw new FleetError(
        "unavailable",
        "this agent serves no dashboard: start it with --ui-addr 127.0.0.1:2380",
      );
    }
    return c.json({
      URL: made.create(Role, `${Role} of ${actor}`),
      Role,
      SecondsLeft: LINK_LIFE_MS / 1000,
    }, 201);
  });
}
