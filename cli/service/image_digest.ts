import { pinnedSpec } from "../../src/model/pinned_image.ts";
import type { Distribution } from "../../src/model/pinned_image.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import { registryAuth } from "../registry_auth.ts";
import type { VerbContext } from "../verb.ts";

/** A registry that has not answered by then does not hold the service up. */
const LOOKUP_TIMEOUT_MS = 10_000;

/**
 * Pins the image to the digest that the registry names, and the placement to the platforms that it has.
 * Without an answer the spec stays as it is and a warning says what that means.
 */
export async function pinImage(context: VerbContext, spec: ServiceSpec): Promise<ServiceSpec> {
  const image = spec.TaskTemplate?.ContainerSpec?.Image ?? "";
  if (image.includes("@") || image === "") return spec;
  let found: Distribution;
  try {
    // A reference holds nothing that a path cannot; the engine's route wants its slashes as they are.
    found = await context.client.get<Distribution>(`/distribution/${image}/json`, {
      headers: { "X-Registry-Auth": await registryAuth(context.env, image) },
      signal: AbortSignal.timeout(LOOKUP_TIMEOUT_MS),
    });
  } catch {
    context.warn(
      `image ${image} could not be resolved to a digest by its registry: ` +
        `each node uses ${image} as it finds it, so versions may differ.`,
    );
    return spec;
  }
  return pinnedSpec(spec, image, found);
}
