import { FleetError } from "../../src/base/errors.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import { getNode } from "../node/shared.ts";
import { getService, putService } from "../service/shared.ts";
import { waitForService } from "../service/wait.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { chosenServices } from "./services.ts";
import { resumedSpec } from "./stopped.ts";

interface Flags {
  readonly node?: string;
  readonly all?: boolean;
  readonly quiet?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<service...>", "Names, ids, or patterns with * and ?")
      .value("--node <node>", "Have the service run on this node from now on")
      .flag("-a, --all", "Restart everything that a pattern matches")
      .flag("-q, --quiet", "Wait, but show no progress")
      .addHelpText(
        "after",
        "\nA new task is up before the old one is stopped, whatever the service's update order; with\n" +
          "ports in host mode the old one is stopped first, for only one of them can have the port.",
      )
      .examples("fleet restart web", "fleet restart --node h2 web");
  },
  async run(context, patterns, { node, all = false, quiet = false }) {
    const services = await chosenServices(context.client, patterns, all);
    const nodeId = node === undefined ? undefined : (await getNode(context.client, node)).ID;
    // What cannot be restarted is told before anything is.
    for (const { Spec } of services) restartedSpec(Spec, nodeId);
    for (const [i, { ID, Spec }] of services.entries()) {
      if (await restart(context, ID, nodeId, quiet)) {
        context.print(`${Spec.Name} restarted`);
        continue;
      }
      const rest = services.slice(i + 1).map((service) => service.Spec.Name);
      if (rest.length > 0) context.print(`Not begun: ${rest.join(", ")}`);
      return;
    }
  },
};

/** False when somebody would not wait for the end. The managers keep the update's order, not this client. */
async function restart(
  context: VerbContext,
  id: string,
  nodeId: string | undefined,
  quiet: boolean,
): Promise<boolean> {
  const service = await getService(context, id);
  const order = restartOrder(service.Spec);
  await putService(context, service, restartedSpec(service.Spec, nodeId), { query: { order } });
  return await waitForService(context, id, { quiet });
}

/** Two tasks cannot have one port of a node. */
export function restartOrder({ EndpointSpec }: ServiceSpec): "start-first" | "stop-first" {
  const hostPorts = EndpointSpec?.Ports?.some(({ PublishMode }) => PublishMode === "host");
  return hostPorts ? "stop-first" : "start-first";
}

/** @throws FleetError invalid for jobs, which run once */
export function restartedSpec(spec: ServiceSpec, nodeId: string | undefined): ServiceSpec {
  if (spec.Mode?.ReplicatedJob || spec.Mode?.GlobalJob) {
    throw new FleetError(
      "invalid",
      `${spec.Name} is a job: "fleet service update --force ${spec.Name}" runs it once more`,
    );
  }
  const resumed = resumedSpec(spec);
  if (resumed && nodeId === undefined) return resumed;
  const base = resumed ?? spec;
  const template = base.TaskTemplate ?? {};
  return {
    ...base,
    TaskTemplate: {
      ...template,
      ForceUpdate: (template.ForceUpdate ?? 0) + 1,
      ...(nodeId === undefined ? {} : {
        Placement: {
          ...template.Placement,
          Constraints: [
            ...(template.Placement?.Constraints ?? []).filter((text) => !/^node\.id\b/.test(text)),
            `node.id==${nodeId}`,
          ],
        },
      }),
    },
  };
}
