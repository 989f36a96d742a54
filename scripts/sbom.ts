/** What is inside a release, in the CycloneDX 1.5 form that scanners read. */

interface Lock {
  readonly npm?: Readonly<Record<string, { readonly integrity?: string }>>;
  readonly workspace?: { readonly dependencies?: readonly string[] };
}

/** Only used by tests: not in the executable. */
const DEVELOPMENT = ["fast-check", "pure-rand"];

/** From the lock file's contents, with the checksums that it pins. */
export function softwareBillOfMaterials(version: string, lock: Lock, deno: string): object {
  const libraries = Object.entries(lock.npm ?? {}).flatMap(([key, { integrity }]) => {
    // Peer dependencies are behind an underscore.
    const [id = ""] = key.split("_");
    const at = id.lastIndexOf("@");
    const [name, release] = [id.slice(0, at), id.slice(at + 1)];
    if (DEVELOPMENT.includes(name)) return [];
    const [algorithm, value = ""] = (integrity ?? "").split("-", 2);
    return [{
      type: "library",
      name,
      version: release,
      purl: `pkg:npm/${name.replace("@", "%40")}@${release}`,
      ...(algorithm === "sha512" ? { hashes: [{ alg: "SHA-512", content: hex(value) }] } : {}),
    }];
  });
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: { type: "application", name: "fleet", version } },
    components: [{ type: "platform", name: "deno", version: deno }, ...libraries],
  };
}

function hex(base64: string): string {
  return [...atob(base64)].map((char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
