/**
 * Plain values as YAML 1.2 blocks. Only what the JSON of the API can hold; texts that could be read as
 * something else are quoted as in JSON, which YAML reads the same.
 */
export function toYaml(value: unknown): string {
  return isEmptyOrScalar(value) ? `${scalar(value)}\n` : `${block(value, "")}\n`;
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    return value.map((item) =>
      isEmptyOrScalar(item)
        ? `${indent}- ${scalar(item)}`
        : `${indent}- ${block(item, `${indent}  `).slice(indent.length + 2)}`
    ).join("\n");
  }
  return Object.entries(value as Record<string, unknown>)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) =>
      isEmptyOrScalar(item)
        ? `${indent}${text(key)}: ${scalar(item)}`
        : `${indent}${text(key)}:\n${block(item, `${indent}  `)}`
    ).join("\n");
}

function isEmptyOrScalar(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return typeof value !== "object" || value === null || Object.keys(value).length === 0;
}

function scalar(value: unknown): string {
  if (typeof value === "string") return text(value);
  return value === undefined ? "null" : JSON.stringify(value);
}

/** Words that stand for themselves in every version of YAML. */
const PLAIN = /^[A-Za-z_/][A-Za-z0-9_./+-]*$/;
const MEANS_SOMETHING = /^(true|false|yes|no|on|off|null|y|n)$/i;

function text(value: string): string {
  return PLAIN.test(value) && !MEANS_SOMETHING.test(value) ? value : JSON.stringify(value);
}
