import type { Cursor } from "./cursor.ts";
import { checkedEntries, DEPLOY_KEYS } from "./keys.ts";
import { readTexts } from "./read_texts.ts";
import type { Deploy, Rollout } from "./stack_file.ts";

const MODES = ["replicated", "global", "replicated-job", "global-job"];

/** A service's `deploy`. @throws FleetError invalid */
export function readDeploy(at: Cursor): Deploy {
  const deploy: Deploy = {};
  for (const [key, value] of checkedEntries(at, DEPLOY_KEYS)) {
    switch (key) {
      case "mode":
        deploy.mode = value.word(...MODES);
        break;
      case "replicas":
        deploy.replicas = value.integer(0);
        break;
      case "labels":
        deploy.labels = readTexts(value);
        break;
      case "endpoint_mode":
        deploy.endpoint_mode = value.word("vip", "dnsrr");
        break;
      case "update_config":
      case "rollback_config":
        deploy[key] = readRollout(value, key === "update_config");
        break;
      case "resources":
        deploy.resources = readResources(value);
        break;
      case "restart_policy":
        deploy.restart_policy = readRestartPolicy(value);
        break;
      case "placement":
        deploy.placement = readPlacement(value);
        break;
    }
  }
  const { mode } = deploy;
  if (deploy.replicas !== undefined && (mode === "global" || mode === "global-job")) {
    at.child("replicas").fail(`cannot be set with mode ${mode}: every node runs one`);
  }
  return deploy;
}

function readRollout(at: Cursor, update: boolean): Rollout {
  const out: Rollout = {};
  for (
    const [key, value] of checkedEntries(at, {
      known: ["delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism"],
    })
  ) {
    if (key === "parallelism") out.parallelism = value.integer(0);
    else if (key === "delay" || key === "monitor") out[key] = value.duration();
    else if (key === "max_failure_ratio") out.max_failure_ratio = value.number();
    else if (key === "order") out.order = value.word("stop-first", "start-first");
    else {
      out.failure_action = update
        ? value.word("pause", "continue", "rollback")
        : value.word("pause", "continue");
    }
  }
  return out;
}

function readResources(at: Cursor): NonNullable<Deploy["resources"]> {
  const out: NonNullable<Deploy["resources"]> = {};
  for (const [key, value] of checkedEntries(at, { known: ["limits", "reservations"] })) {
    if (key === "limits") {
      const limits: NonNullable<typeof out.limits> = {};
      for (const [name, each] of checkedEntries(value, { known: ["cpus", "memory", "pids"] })) {
        if (name === "cpus") limits.cpus = each.nanoCpus();
        else if (name === "memory") limits.memory = each.bytes();
        else limits.pids = each.integer(-1);
      }
      out.limits = limits;
      continue;
    }
    const kept: NonNullable<typeof out.reservations> = {};
    const keys = { known: ["cpus", "generic_resources", "memory"], unsupported: ["devices"] };
    for (const [name, each] of checkedEntries(value, keys)) {
      if (name === "cpus") kept.cpus = each.nanoCpus();
      else if (name === "memory") kept.memory = each.bytes();
      else kept.generic_resources = each.items().map(readGenericResource);
    }
    out.reservations = kept;
  }
  return out;
}

function readGenericResource(at: Cursor): { kind: string; value: number } {
  const out = { kind: "", value: 0 };
  for (const [, spec] of checkedEntries(at, { known: ["discrete_resource_spec"] })) {
    for (const [key, value] of checkedEntries(spec, { known: ["kind", "value"] })) {
      if (key === "kind") out.kind = value.text();
      else out.value = value.integer(0);
    }
  }
  if (out.kind === "") at.fail("needs a discrete_resource_spec with kind and value");
  return out;
}

function readRestartPolicy(at: Cursor): NonNullable<Deploy["restart_policy"]> {
  const out: NonNullable<Deploy["restart_policy"]> = {};
  const keys = { known: ["condition", "delay", "max_attempts", "window"] };
  for (const [key, value] of checkedEntries(at, keys)) {
    if (key === "condition") out.condition = value.word("none", "on-failure", "any");
    else if (key === "max_attempts") out.max_attempts = value.integer(0);
    else if (key === "delay") out.delay = value.duration();
    else out.window = value.duration();
  }
  return out;
}

function readPlacement(at: Cursor): NonNullable<Deploy["placement"]> {
  const out: NonNullable<Deploy["placement"]> = {};
  const keys = { known: ["constraints", "max_replicas_per_node", "preferences"] };
  for (const [key, value] of checkedEntries(at, keys)) {
    if (key === "constraints") out.constraints = value.strings();
    else if (key === "max_replicas_per_node") out.max_replicas_per_node = value.integer(0);
    else {
      out.preferences = value.items().map((item) => {
        const spread = checkedEntries(item, { known: ["spread"] })[0]?.[1];
        return spread ? spread.text() : item.fail("needs spread");
      });
    }
  }
  return out;
}
