import type { ControlContext } from "./context.ts";
import { startContainer, stopContainer } from "./container_places.ts";
import { updateCluster } from "./cluster.ts";
import { createFileObject, removeFileObject, updateFileObject } from "./file_objects.ts";
import { rotateFileObject } from "./file_versions.ts";
import type { ControlArgs, ControlMethod, ControlResult } from "./methods.ts";
import {
  attachContainer,
  createNetwork,
  detachContainer,
  removeNetwork,
  rotateNetworkKeysNow,
} from "./networks.ts";
import { removeNode, updateNode } from "./nodes.ts";
import { updatePolicy } from "./policy.ts";
import { requestRebalance } from "./rebalance.ts";
import { createService, removeService, updateService } from "./services.ts";
import { openTerminal } from "./terminals.ts";
import { createToken, revokeToken } from "./tokens.ts";

type Handlers = {
  [M in ControlMethod]: (context: ControlContext, args: ControlArgs<M>) => ControlResult<M>;
};

const HANDLERS: Handlers = {
  "service.create": createService,
  "service.update": updateService,
  "service.remove": removeService,
  "node.update": updateNode,
  "node.remove": removeNode,
  "cluster.update": updateCluster,
  "secret.create": (context, args) => createFileObject(context, "secret", args.spec),
  "secret.update": (context, args) => updateFileObject(context, "secret", args),
  "secret.remove": (context, args) => removeFileObject(context, "secret", args.id),
  "secret.rotate": (context, args) => rotateFileObject(context, "secret", args),
  "config.rotate": (context, args) => rotateFileObject(context, "config", args),
  "config.create": (context, args) => createFileObject(context, "config", args.spec),
  "config.update": (context, args) => updateFileObject(context, "config", args),
  "config.remove": (context, args) => removeFileObject(context, "config", args.id),
  "token.create": createToken,
  "token.revoke": revokeToken,
  "policy.update": updatePolicy,
  "rebalance.start": requestRebalance,
  "terminal.open": openTerminal,
  "network.create": createNetwork,
  "network.rotate-keys": rotateNetworkKeysNow,
  "network.remove": removeNetwork,
  "network.attach": attachContainer,
  "network.detach": detachContainer,
  "network.container-stopped": stopContainer,
  "network.container-started": startContainer,
};

export function isControlMethod(name: string): name is ControlMethod {
  return Object.hasOwn(HANDLERS, name);
}

/** Performs one control method on the context's transaction. @throws FleetError as the method says */
export function perform<M extends ControlMethod>(
  context: ControlContext,
  method: M,
  args: ControlArgs<M>,
): ControlResult<M> {
  return HANDLERS[method](context, args);
}
