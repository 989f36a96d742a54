import { messageOf } from "../../base/errors.ts";
import { parseConstraints } from "../../model/constraint.ts";
import { validateServiceSpec } from "../../model/validate_service.ts";
import { convertService } from "./convert_service.ts";
import { nearest } from "./keys.ts";
import type { ServiceEntry, StackFile } from "./stack_file.ts";

/** Throws FleetError invalid with the place of the deepest part of `path` that stands in a file. */
type Fail = (path: readonly string[], message: string) => never;

/** Every network, volume, secret and config that a service names must be declared. */
export function checkReferences(file: StackFile, fail: Fail): void {
  for (const [service, entry] of Object.entries(file.services)) {
    const check = (key: string, declared: object, names: readonly string[], section: string) => {
      for (const name of names) {
        if (Object.hasOwn(declared, name)) continue;
        const near = nearest(name, Object.keys(declared));
        const hint = near === undefined
          ? `declare it under the top-level ${section}`
          : `did you mean ${near}?`;
        fail(["services", service, key], `"${name}" is not declared: ${hint}`);
      }
    };
    const names = Object.keys(entry.networks ?? {}).filter((name) => name !== "default");
    check("networks", file.networks, names, "networks");
    const volumes = (entry.volumes ?? []).filter((use) => use.type === "volume" && use.source);
    check("volumes", file.volumes, volumes.map((use) => use.source!), "volumes");
    check("secrets", file.secrets, (entry.secrets ?? []).map((use) => use.source), "secrets");
    check("configs", file.configs, (entry.configs ?? []).map((use) => use.source), "configs");
    const needed = Object.entries(entry.depends_on ?? {}).filter(([, one]) => one.required);
    check("depends_on", file.services, needed.map(([name]) => name), "services");
  }
  const circle = circleOf(file.services);
  if (circle) {
    fail(["services", circle[0]!, "depends_on"], `waits for itself: ${circle.join(" -> ")}`);
  }
}

/** Stands for a stack's name that is not known: a short one, which makes no name too long. */
const UNNAMED = "s";

/**
 * What the managers would refuse, before anything is made for it: their rules are `src/model`'s. What
 * depends on the cluster is left to them.
 */
export function checkSpecs(stack: string | undefined, file: StackFile, fail: Fail): void {
  for (const [service, entry] of Object.entries(file.services)) {
    const path = ["services", service];
    if (!entry.image) fail([...path, "image"], "a service of a cluster needs an image");
    try {
      const spec = convertService(stack ?? UNNAMED, service, entry, file);
      validateServiceSpec(spec);
      parseConstraints(spec.TaskTemplate?.Placement?.Constraints ?? []);
    } catch (error) {
      const message = messageOf(error);
      const [, ...key] = KEYS.find(([pattern]) => pattern.test(message)) ?? [/^/];
      fail([...path, ...key], message.replace(FIELD, ""));
    }
  }
}

/** The API's name of a field before a sentence of the model: the file has another one. */
const FIELD = /^(ContainerSpec|EndpointSpec|TaskTemplate)[\w.]*: /;

/** Which of a service's keys a sentence of the model is about. */
const KEYS: readonly (readonly [RegExp, ...string[]])[] = [
  [/^ContainerSpec\.Mounts/, "volumes"],
  [/^ContainerSpec\.Privileges\.CredentialSpec/, "credential_spec"],
  [/^ContainerSpec\.StopGracePeriod/, "stop_grace_period"],
  [/^ContainerSpec\.Healthcheck/, "healthcheck"],
  [/^ContainerSpec: /, "image"],
  [/^EndpointSpec/, "ports"],
  [/^TaskTemplate\.Resources|^GenericResources/, "deploy", "resources"],
  [/^TaskTemplate\.RestartPolicy/, "deploy", "restart_policy"],
  [/^UpdateConfig/, "deploy", "update_config"],
  [/^RollbackConfig/, "deploy", "rollback_config"],
  [/^Mode/, "deploy", "replicas"],
  [/^(malformed )?secret /, "secrets"],
  [/^(malformed )?config /, "configs"],
  [/constraint/, "deploy", "placement", "constraints"],
];

/** Services that wait for one another in a circle. */
function circleOf(services: Readonly<Record<string, ServiceEntry>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of Object.keys(services[name]?.depends_on ?? {})) {
      const found = visit(next, [...trail, name]);
      if (found) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of Object.keys(services)) {
    const found = visit(name, []);
    if (found) return found;
  }
  return undefined;
}
