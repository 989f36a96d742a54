import { FleetError } from "../../src/base/errors.ts";
import { choice, parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { showPolicy } from "./show.ts";

interface Flags {
  readonly rebalance?: "never" | "on-join";
  readonly movesPerMinute?: number;
  readonly privileged?: boolean;
  readonly devices?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command
      .value(
        "--rebalance <word>",
        "Move running tasks to a node that joins or comes back: never or on-join",
        choice("never", "on-join"),
      )
      .value("--moves-per-minute <uint>", "Running tasks moved per minute at most", parseUint)
      .flag("--privileged", "Services may have privileged containers")
      .flag("--devices", "Services may have devices of their hosts")
      .addHelpText(
        "after",
        "\nWhoever may create services is root on the nodes once privileged containers or devices are\n" +
          "allowed. --privileged=false takes it back; what runs already goes on.",
      )
      .examples(
        "fleet policy set --rebalance on-join --moves-per-minute 5",
        "fleet policy set --devices --privileged=false",
      );
  },
  async run(context, _args, flags) {
    if (Object.keys(flags).length === 0) {
      throw new FleetError("invalid", "nothing to set: name at least one setting");
    }
    await context.client.post("/fleet/policy", {
      body: {
        ...(flags.rebalance === undefined ? {} : { Rebalance: flags.rebalance }),
        ...(flags.movesPerMinute === undefined ? {} : { MovesPerMinute: flags.movesPerMinute }),
        ...(flags.privileged === undefined ? {} : { Privileged: flags.privileged }),
        ...(flags.devices === undefined ? {} : { Devices: flags.devices }),
      },
    });
    await showPolicy(context);
  },
};
