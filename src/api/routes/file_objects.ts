import type { Hono } from "hono";
import { base64Fault } from "../../base/base64.ts";
import { FleetError } from "../../base/errors.ts";
import { labels, list, obj, opt, str } from "../../model/json.ts";
import { ConfigSpec } from "../../model/config.ts";
import { SecretSpec } from "../../model/secret.ts";
import type { Objects } from "../../model/objects.ts";
import type { Backend } from "../backend.ts";
import { lookUp } from "./lookup.ts";
import { bodyOf, filtersOf, labelMatches, passes, versionOf } from "./query.ts";
import { read } from "./read.ts";

type Kind = "secret" | "config";
const SCHEMA = { secret: SecretSpec, config: ConfigSpec } as const;

/** A secret's data never leaves; a config's does. */
function shown(kind: Kind, object: Objects[Kind]): Record<string, unknown> {
  const { Data, ...spec } = object.Spec;
  return {
    ID: object.ID,
    Version: object.Version,
    CreatedAt: object.CreatedAt,
    UpdatedAt: object.UpdatedAt,
    Spec: {
      ...spec,
      Labels: spec.Labels ?? {},
      ...(kind === "config" ? { Data: Data ?? "" } : {}),
    },
  };
}

const RotateBody = obj({ Data: str, Labels: opt(labels), Except: opt(list(str)) });
const CompareBody = obj({ Data: str });

/**
 * Docker's words for data that is not base64: Swarmpit sends texts as they are, and encodes them when it reads these.
 * @throws FleetError invalid
 */
function withPlainData<T extends { readonly Data?: string | undefined }>(spec: T): T {
  const fault = base64Fault(spec.Data ?? "");
  if (fault !== undefined) {
    throw new FleetError("invalid", `illegal base64 data at input byte ${fault}`);
  }
  return spec.Data === undefined ? spec : { ...spec, Data: spec.Data.replace(/[\r\n]/g, "") };
}

/** `/secrets` and `/configs`: the same routes over two tables. */
export function fileObjectRoutes(app: Hono, backend: Backend, kind: Kind): void {
  const base = `/${kind}s`;
  app.get(base, (c) =>
    read(c, backend, (view) => {
      const filters = filtersOf(c, ["id", "name", "names", "label"]);
      return [...view.all(kind)].filter((object) =>
        passes(object, filters, {
          id: (o, value) => o.ID.startsWith(value),
          name: (o, value) => (o.Spec.Name ?? "").startsWith(value),
          names: (o, value) => o.Spec.Name === value,
          label: (o, value) => labelMatches(o.Spec.Labels, value),
        })
      ).map((object) => shown(kind, object));
    }));
  app.post(`${base}/create`, async (c) => {
    const spec = withPlainData(await bodyOf(c, SCHEMA[kind], `${kind} spec`));
    const { id } = await backend.call(`${kind}.create`, { spec }, c.req.raw.signal);
    return c.json({ ID: id }, 201);
  });
  app.get(
    `${base}/:id`,
    (c) => read(c, backend, (view) => shown(kind, lookUp(view, kind, c.req.param("id")))),
  );
  app.post(`${base}/:id/update`, async (c) => {
    const version = versionOf(c, kind);
    const spec = withPlainData(await bodyOf(c, SCHEMA[kind], `${kind} spec`));
    const { value: object } = await backend.read((view) => lookUp(view, kind, c.req.param("id")));
    await backend.call(`${kind}.update`, { id: object.ID, version, spec }, c.req.raw.signal);
    return c.body(null, 200);
  });
  // Beyond Docker, whose secrets and configs never change.
  app.post(`/fleet${base}/:id/rotate`, async (c) => {
    const version = versionOf(c, kind);
    const { Data, Labels, Except = [] } = await bodyOf(c, RotateBody, `${kind} version`);
    const { value: object } = await backend.read((view) => lookUp(view, kind, c.req.param("id")));
    const { id, services } = await backend.call(`${kind}.rotate`, {
      id: object.ID,
      version,
      data: Data,
      ...(Labels ? { labels: Labels } : {}),
      except: Except,
    }, c.req.raw.signal);
    return c.json({ ID: id, Services: services });
  });
  app.post(`/fleet${base}/:id/compare`, async (c) => {
    const { Data } = await bodyOf(c, CompareBody, `${kind} data`);
    const { value: object, stale } = await backend.read((view) =>
      lookUp(view, kind, c.req.param("id"))
    );
    if (stale) {
      throw new FleetError(
        "unavailable",
        "this manager may not know the newest version; try again",
      );
    }
    return c.json({ Same: object.Spec.Data === Data });
  });
  app.delete(`${base}/:id`, async (c) => {
    const { value: object } = await backend.read((view) => lookUp(view, kind, c.req.param("id")));
    await backend.call(`${kind}.remove`, { id: object.ID }, c.req.raw.signal);
    return c.body(null, 204);
  });
}
