import type { ApiNetwork } from "../api_types.ts";
import { ApiError } from "../client.ts";
import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";
import { FleetError } from "../../src/base/errors.ts";

export const verb: Verb<{ readonly force?: boolean; readonly yes?: boolean }> = {
  define(command) {
    command.argument("<network...>", "Names or ids")
      .flag("-f, --force", "Do not mind a network that does not exist")
      .flag("-y, --yes", "Ask nothing")
      .examples("fleet network rm back");
  },
  run(context, args, { force, yes }) {
    const { client, env } = context;
    return forEachReference(context, args, async (reference) => {
      const path = `/networks/${segment(reference)}`;
      try {
        if (!yes && env.stdin.isTTY && (await client.get<ApiNetwork>(path)).Ingress) {
          const answer = await env.stdin.readLine({
            prompt: `${reference} carries the published ports of all services. Remove it? [y/N] `,
          });
          if (!/^y(es)?$/i.test(answer?.trim() ?? "")) {
            throw new FleetError("canceled", `${reference} was kept`);
          }
        }
        await client.remove(path);
      } catch (error) {
        if (!force || !(error instanceof ApiError) || error.status !== 404) throw error;
      }
    });
  },
};
