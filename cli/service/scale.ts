import { FleetError } from "../../src/base/errors.ts";
import { ConnectError } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { errorLine } from "../several.ts";
import { withReplicas } from "../spec/update_service.ts";
import { parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { getService, putService } from "./shared.ts";
import { waitForService } from "./wait.ts";

export const verb: Verb<{ readonly detach?: boolean }> = {
  define(command) {
    command.usage("[options] SERVICE=REPLICAS...").argument("<service=replicas...>")
      .flag("-d, --detach", "Do not wait until the services have converged")
      .examples("fleet service scale web=6", "fleet service scale --detach web=3 worker=10");
  },
  async run(context, args, flags) {
    const wanted = args.map(parseScale);
    const ids: string[] = [];
    let failed = false;
    for (const { reference, replicas } of wanted) {
      try {
        const service = await getService(context, reference);
        const spec = { ...service.Spec, Mode: withReplicas(service.Spec.Mode, replicas) };
        await putService(context, service, spec);
        context.print(`${reference} scaled to ${replicas}`);
        ids.push(service.ID);
      } catch (error) {
        if (error instanceof ConnectError) throw error;
        context.warn(`${reference}: ${errorLine(error)}`);
        failed = true;
      }
    }
    if (!flags.detach) { for (const id of ids) await waitForService(context, id, {}); }
    return failed ? EXIT.failed : EXIT.ok;
  },
};

/** `web=3`. @throws FleetError invalid */
export function parseScale(text: string): { reference: string; replicas: number } {
  const at = text.indexOf("=");
  if (at <= 0) {
    throw new FleetError("invalid", `"${text}": write it as SERVICE=REPLICAS, like web=3`);
  }
  try {
    return { reference: text.slice(0, at), replicas: parseUint(text.slice(at + 1)) };
  } catch {
    throw new FleetError(
      "invalid",
      `"${text}": the number of replicas must be a whole number from 0 up`,
    );
  }
}
