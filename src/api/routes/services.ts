import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { isDirty } from "../../core/orchestrator/dirty.ts";
import { withDefaults } from "../../model/defaults.ts";
import { modeOf, UPDATE_ORDERS } from "../../model/service.ts";
import { ServiceSpec } from "../../model/service_spec.ts";
import { slotName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { TASK_STATES } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { serviceJson, serviceStatus } from "../projection/service.ts";
import { taskJson } from "../projection/task.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { pinImage } from "./image_digest.ts";
import { lookUp } from "./lookup.ts";
import {
  bodyOf,
  filtersOf,
  isAtLeast,
  labelMatches,
  passes,
  strictBoolean,
  versionOf,
} from "./query.ts";
import { read } from "./read.ts";

/** The first version of the API that counts tasks for service lists. */
const STATUS_VERSION = "1.41";

export function serviceRoutes(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.get("/services", (c) =>
    read(c, backend, (view) => {
      const filters = filtersOf(c, ["id", "name", "label", "mode", "runtime"]);
      const withStatus = strictBoolean(c, "status") && isAtLeast(c, STATUS_VERSION);
      return [...view.all("service")].filter((service) =>
        passes(service, filters, {
          id: (s, value) => s.ID.startsWith(value),
          name: (s, value) => (s.Spec.Name ?? "").startsWith(value),
          label: (s, value) => labelMatches(s.Spec.Labels, value),
          mode: (s, value) => modeOf(s.Spec) === value,
          runtime: (s, value) => (s.Spec.TaskTemplate?.Runtime || "container") === value,
        })
      ).map((service) => ({
        ...serviceJson(service),
        ...(withStatus ? { ServiceStatus: serviceStatus(view, service) } : {}),
      }));
    }));

  app.post("/services/create", async (c) => {
    const auth = c.req.header("x-registry-auth");
    const given = withAuth(await bodyOf(c, ServiceSpec, "service spec"), auth);
    const { spec, warnings } = await pinImage(c, engine, given, auth);
    const created = await backend.call("service.create", { spec }, c.req.raw.signal);
    warnings.push(...created.warnings);
    return c.json({ ID: created.id, ...(warnings.length > 0 ? { Warnings: warnings } : {}) }, 201);
  });

  app.get("/services/:id", (c) =>
    read(c, backend, (view) => {
      const service = lookUp(view, "service", c.req.param("id"));
      const shown = strictBoolean(c, "insertDefaults")
        ? { ...service, Spec: withDefaults(service.Spec) }
        : service;
      return serviceJson(shown);
    }));

  app.post("/services/:id/update", async (c) => {
    const version = versionOf(c, "service");
    const auth = c.req.header("x-registry-auth");
    const given = withAuth(await bodyOf(c, ServiceSpec, "service spec"), auth);
    const from = c.req.query("registryAuthFrom") || "spec";
    if (from !== "spec" && from !== "previous-spec") {
      throw new FleetError(
        "invalid",
        `unsupported registryAuthFrom value "${from}"; use spec or previous-spec`,
      );
    }
    const rollback = c.req.query("rollback") || "none";
    if (rollback !== "previous" && rollback !== "none") {
      throw new FleetError("internal", `unrecognized rollback option ${rollback}`);
    }
    const order = UPDATE_ORDERS.find((word) => word === c.req.query("order"));
    if (c.req.query("order") && order === undefined) {
      throw new FleetError(
        "invalid",
        `unknown order "${c.req.query("order")}"; use ${UPDATE_ORDERS.join(" or ")}`,
      );
    }
    const { value: service } = await backend.read((view) =>
      lookUp(view, "service", c.req.param("id"))
    );
    const stored = from === "spec" ? service.Spec : service.PreviousSpec;
    const { spec, warnings } = rollback === "previous"
      ? { spec: given, warnings: [] }
      : await pinImage(c, engine, given, auth ?? authOf(stored));
    const updated = await backend.call("service.update", {
      id: service.ID,
      version,
      spec,
      registryAuthFrom: from,
      ...(rollback === "previous" ? { rollback } : {}),
      ...(order ? { order } : {}),
    }, c.req.raw.signal);
    warnings.push(...updated.warnings);
    // As in Docker, whose answer to a creation leaves the field out.
    return c.json({ Warnings: warnings.length > 0 ? warnings : null });
  });

  app.delete("/services/:id", async (c) => {
    const { value: service } = await backend.read((view) =>
      lookUp(view, "service", c.req.param("id"))
    );
    await backend.call("service.remove", { id: service.ID }, c.req.raw.signal);
    return c.body(null, 200);
  });

  app.get("/tasks", (c) =>
    read(c, backend, (view) => {
      const filters = filtersOf(c, [
        "id",
        "name",
        "label",
        "service",
        "node",
        "desired-state",
        "_up-to-date",
        "runtime",
      ]);
      const ids = (table: "service" | "node", values: readonly string[]) =>
        new Set(values.map((value) => lookUp(view, table, value).ID));
      for (const state of filters.get("desired-state") ?? []) {
        if ((TASK_STATES as readonly string[]).includes(state)) continue;
        throw new FleetError("internal", `invalid desired-state filter: '${state}'`);
      }
      const services = ids("service", filters.get("service") ?? []);
      const nodes = ids("node", filters.get("node") ?? []);
      return candidates(view, services, filters.has("service")).filter((task) =>
        passes(task, filters, {
          id: (t, value) => t.ID.startsWith(value),
          name: (t, value) => slotName(t).startsWith(value),
          label: (t, value) => labelMatches(t.ServiceAnnotations?.Labels, value),
          service: (t) => services.has(t.ServiceID ?? ""),
          node: (t) => nodes.has(t.NodeID ?? ""),
          "desired-state": (t, value) => t.DesiredState === value,
          "_up-to-date": (t, value) => isUpToDate(view, t) === (value !== "false"),
        })
      ).map((task) => taskJson(view, task));
    }));

  app.get(
    "/tasks/:id",
    (c) => read(c, backend, (view) => taskJson(view, lookUp(view, "task", c.req.param("id")))),
  );
}

/** Only the tasks of the asked services when the list is about services. */
function candidates(view: View, services: ReadonlySet<string>, filtered: boolean): Task[] {
  if (!filtered) return [...view.all("task")];
  return [...services].flatMap((id) => [...view.tasksOfService(id)]);
}

function isUpToDate(view: View, task: Task): boolean {
  const service = view.get("service", task.ServiceID ?? "");
  return service !== undefined && !isDirty(service, task, view.get("node", task.NodeID ?? ""));
}

function authOf(spec: ServiceSpec | undefined): string | undefined {
  return spec?.TaskTemplate?.ContainerSpec?.PullOptions?.RegistryAuth;
}

/** Pull credentials travel with the spec to the workers and are never shown again. */
function withAuth(spec: ServiceSpec, auth: string | undefined): ServiceSpec {
  const container = spec.TaskTemplate?.ContainerSpec;
  if (!container) return spec;
  const { PullOptions: _, ...rest } = container;
  return {
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      ContainerSpec: auth ? { ...rest, PullOptions: { RegistryAuth: auth } } : rest,
    },
  };
}
