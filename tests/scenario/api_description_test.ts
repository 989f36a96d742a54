/** The API against the structure of Docker's: what it serves, what it understands, what it answers. */
import assert from "node:assert/strict";
import { ClusterSpec } from "../../src/model/cluster.ts";
import { ConfigSpec } from "../../src/model/config.ts";
import type { SchemaFields } from "../../src/model/json.ts";
import { SecretSpec } from "../../src/model/secret.ts";
import { NodeSpec } from "../../src/model/node.ts";
import { ServiceSpec } from "../../src/model/service_spec.ts";
import { apiShapes, describedShapes, keepShapes } from "../contract/api/described.ts";
import { fieldsOf } from "../contract/api/shapes.ts";
import type { Shape } from "../contract/api/shapes.ts";
import { api } from "./cluster_api.ts";

const described = describedShapes();

Deno.test({
  name: "the structure of Docker's API that is kept here is that of its description",
  ignore: described === undefined,
  async fn() {
    if (Deno.env.get("REWRITE") !== undefined) await keepShapes(described!);
    assert.deepEqual(apiShapes(), described);
  },
});

/** Endpoints that go to the engine as they are, and why. */
const PASSED_ON: Readonly<Record<string, string>> = {
  "GET /version": "nothing in it is about the cluster",
};

Deno.test("every endpoint of the cluster's part of Docker's API is served", () => {
  const { endpoints } = apiShapes();
  const { routes } = api();
  const served = new Set(
    routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`),
  );
  const missing = Object.keys(endpoints).filter((endpoint) => {
    const [, path] = endpoint.split(" ");
    return !served.has(endpoint) && !served.has(`ALL ${path}`);
  });
  assert.deepEqual(missing, Object.keys(PASSED_ON));
});

/** Fields of requests that fleet does not know, and why. */
const NOT_KNOWN: Readonly<Record<string, string>> = {
  "services.TaskTemplate.PluginSpec": "services of runtime plugin are refused with a sentence",
};

const BODIES = {
  "POST /services/create": ServiceSpec,
  "POST /services/{id}/update": ServiceSpec,
  "POST /secrets/create": SecretSpec,
  "POST /secrets/{id}/update": SecretSpec,
  "POST /configs/create": ConfigSpec,
  "POST /configs/{id}/update": ConfigSpec,
  "POST /nodes/{id}/update": NodeSpec,
  "POST /swarm/update": ClusterSpec,
} as const;

Deno.test("every field of the requests of Docker's API is understood", () => {
  const shapes = apiShapes();
  const unknown = new Set<string>();
  const compare = (shape: Shape, schema: SchemaFields, path: string): void => {
    const inner = schema.wrapped ?? schema.pipe?.[0];
    if (inner) return compare(shape, inner, path);
    const fields = fieldsOf(shapes, shape);
    if (fields) {
      for (const [name, field] of Object.entries(fields)) {
        // As in Go, the case of names does not matter.
        const [, known] = Object.entries(schema.entries ?? {}).find(([own]) =>
          own.toLowerCase() === name.toLowerCase()
        ) ?? [];
        if (known) {
          compare(field, known, `${path}.${name}`);
        } else unknown.add(`${path}.${name}`);
      }
      return;
    }
    const resolved = typeof shape === "string" && shape.startsWith("#")
      ? shapes.definitions[shape.slice(1)]!
      : shape;
    if (resolved !== shape) return compare(resolved, schema, path);
    if (typeof shape !== "object" || "words" in shape) return;
    const member = "list" in shape ? schema.item : schema.value;
    if (!member) unknown.add(path);
    else compare("list" in shape ? shape.list : (shape as { map: Shape }).map, member, path);
  };
  for (const [endpoint, schema] of Object.entries(BODIES)) {
    const { body } = shapes.endpoints[endpoint]!;
    compare(body!, schema as unknown as SchemaFields, endpoint.split("/")[1]!);
  }
  assert.deepEqual([...unknown].sort(), Object.keys(NOT_KNOWN).sort());
});
