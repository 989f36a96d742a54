/** Structure of what an API takes and gives: names and kinds of fields, nothing else. */
export type Shape =
  /** `"#Name"` is a definition; `any` fits everything. */
  | string
  | { readonly words: readonly string[] }
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly fields: Readonly<Record<string, Shape>> };

export interface Endpoint {
  /** Query parameters. */
  readonly query: readonly string[];
  readonly headers: readonly string[];
  readonly body?: Shape;
  /** By status; what has no body has no shape. */
  readonly answers: Readonly<Record<string, Shape | null>>;
}

export interface Shapes {
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  readonly definitions: Readonly<Record<string, Shape>>;
}

type Json = Readonly<Record<string, unknown>>;

/** Parts of the API that are about the cluster; of the others, those that show the cluster as well. */
const OURS = /^\/(swarm|nodes|services|tasks|secrets|configs|networks)(\/|$)/;
const SHARED = ["/info", "/version", "/events"];
const ENGINES_OWN = /^\/networks\/(\{id\}\/|prune)/;
/** Deeper than this no description goes. */
const MAX_DEPTH = 40;

/** What Docker's description of its API (Swagger 2.0, parsed) says of the cluster's part. */
export function shapesOf(description: Json): Shapes {
  const endpoints: Record<string, Endpoint> = {};
  for (const [path, verbs] of Object.entries(description["paths"] as Record<string, Json>)) {
    if ((!OURS.test(path) && !SHARED.includes(path)) || ENGINES_OWN.test(path)) continue;
    for (const [verb, operation] of Object.entries(verbs as Record<string, Json>)) {
      endpoints[`${verb.toUpperCase()} ${path}`] = endpointOf(operation);
    }
  }
  const all = description["definitions"] as Record<string, Json>;
  const definitions: Record<string, Shape> = {};
  const needed = [...referenced(endpoints)];
  for (const name of needed) {
    if (definitions[name] !== undefined) continue;
    definitions[name] = shapeOf(all[name]!, 0);
    needed.push(...referenced(definitions[name]));
  }
  const sorted = Object.fromEntries(
    Object.entries(definitions).sort(([a], [b]) => a < b ? -1 : 1),
  );
  return { endpoints, definitions: sorted };
}

function endpointOf(operation: Json): Endpoint {
  const parameters = (operation["parameters"] ?? []) as readonly Json[];
  const named = (where: string) =>
    parameters.filter((parameter) => parameter["in"] === where)
      .map((parameter) => parameter["name"] as string);
  const body = parameters.find((parameter) => parameter["in"] === "body");
  const responses = operation["responses"] as Record<string, Json>;
  return {
    query: named("query"),
    headers: named("header"),
    ...(body ? { body: shapeOf(body["schema"] as Json, 0) } : {}),
    answers: Object.fromEntries(
      Object.entries(responses).map(([status, { schema }]) => [
        status,
        schema ? shapeOf(schema as Json, 0) : null,
      ]),
    ),
  };
}

function shapeOf(schema: Json, depth: number): Shape {
  if (depth > MAX_DEPTH) throw new Error("the description is nested too deep");
  const { $ref, allOf, type, properties, additionalProperties, items, enum: words } = schema;
  if ($ref) return `#${($ref as string).split("/").at(-1)}`;
  if (allOf) {
    const parts = (allOf as readonly Json[]).map((part) => shapeOf(part, depth + 1));
    if (parts.length === 1) return parts[0]!;
    // Definitions that are put together stay together: `&` in a name of fields means "and those of".
    const fields: Record<string, Shape> = {};
    for (const [i, part] of parts.entries()) {
      if (typeof part === "object" && "fields" in part) Object.assign(fields, part.fields);
      else fields[`&${i}`] = part;
    }
    return { fields };
  }
  if (words) return { words: (words as readonly unknown[]).map(String) };
  if (items) return { list: shapeOf(items as Json, depth + 1) };
  if (properties) {
    return {
      fields: Object.fromEntries(
        Object.entries(properties as Record<string, Json>).map((
          [name, property],
        ) => [name, shapeOf(property, depth + 1)]),
      ),
    };
  }
  if (additionalProperties && typeof additionalProperties === "object") {
    return { map: shapeOf(additionalProperties as Json, depth + 1) };
  }
  return type === "object" || type === undefined ? "any" : type as string;
}

function referenced(value: unknown): string[] {
  if (typeof value === "string") return value.startsWith("#") ? [value.slice(1)] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(referenced);
}

/** The fields of a shape with those of the definitions that it is put together from; undefined where it has none. */
export function fieldsOf(
  shapes: Shapes,
  shape: Shape,
): Readonly<Record<string, Shape>> | undefined {
  if (typeof shape === "string") {
    const definition = shape.startsWith("#") ? shapes.definitions[shape.slice(1)] : undefined;
    return definition === undefined ? undefined : fieldsOf(shapes, definition);
  }
  if (!("fields" in shape)) return undefined;
  const found: Record<string, Shape> = {};
  for (const [name, field] of Object.entries(shape.fields)) {
    if (name.startsWith("&")) Object.assign(found, fieldsOf(shapes, field));
    else found[name] = field;
  }
  return found;
}

/** Where a value is not of a shape, in sentences; fields that the shape has not are named with `extra`. */
export function faultsOf(shapes: Shapes, shape: Shape, value: unknown, path = "answer"): string[] {
  // Go writes lists, maps and what is behind a pointer as null when there is nothing.
  if (value === null) {
    return typeof shape === "object" && !("words" in shape) ? [] : nullFault(shapes, shape, path);
  }
  const fields = fieldsOf(shapes, shape);
  if (fields) {
    if (typeof value !== "object" || Array.isArray(value)) return [`${path} is no object`];
    return Object.entries(value).flatMap(([name, member]) => {
      const field = fields[name];
      return field === undefined
        ? [`${path}.${name} is extra`]
        : faultsOf(shapes, field, member, `${path}.${name}`);
    });
  }
  if (typeof shape === "string") {
    if (shape.startsWith("#")) {
      return faultsOf(shapes, shapes.definitions[shape.slice(1)] ?? "any", value, path);
    }
    return isOf(shape, value) ? [] : [`${path} is no ${shape}: ${JSON.stringify(value)}`];
  }
  if ("words" in shape) {
    return shape.words.includes(String(value))
      ? []
      : [`${path} is none of ${shape.words.join(", ")}: ${JSON.stringify(value)}`];
  }
  if ("list" in shape) {
    if (!Array.isArray(value)) return [`${path} is no list`];
    return value.flatMap((member) => faultsOf(shapes, shape.list, member, `${path}[]`));
  }
  if (typeof value !== "object" || Array.isArray(value)) return [`${path} is no map`];
  return Object.values(value).flatMap((member) =>
    faultsOf(shapes, (shape as { map: Shape }).map, member, `${path}{}`)
  );
}

function nullFault(shapes: Shapes, shape: Shape, path: string): string[] {
  if (shape === "any") return [];
  if (typeof shape === "string" && shape.startsWith("#")) {
    const definition = shapes.definitions[shape.slice(1)];
    return definition === undefined ? [] : faultsOf(shapes, definition, null, path);
  }
  return [`${path} is null`];
}

function isOf(kind: string, value: unknown): boolean {
  switch (kind) {
    case "any":
      return true;
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    default: {
      const own: string = typeof value;
      return own === kind;
    }
  }
}
