import type { Platform, ServiceSpec } from "../../src/model/service_spec.ts";
import { registryAuth } from "../registry_auth.ts";
import { taggedImage } from "../../src/model/tagged_image.ts";
import type { VerbContext } from "../verb.ts";

/** A registry that has not answered by then does not hold the service up. */
const LOOKUP_TIMEOUT_MS = 10_000;

interface Distribution {
  readonly Descriptor?: { readonly digest?: string };
  readonly Platforms?: readonly { readonly architecture?: string; readonly os?: string }[] | null;
}

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

/** `spec` with the image's digest and platforms as `found`. */
export function pinnedSpec(spec: ServiceSpec, image: string, found: Distribution): ServiceSpec {
  const digest = found.Descriptor?.digest;
  if (!digest) return spec;
  const platforms = (found.Platforms ?? []).map((platform): Platform => ({
    // "arm" says too little about the variant to place by it.
    ...(platform.architecture && platform.architecture !== "arm"
      ? { Architecture: platform.architecture }
      : {}),
    ...(platform.os ? { OS: platform.os } : {}),
  }));
  const task = spec.TaskTemplate ?? {};
  return {
    ...spec,
    TaskTemplate: {
      ...task,
      ContainerSpec: { ...task.ContainerSpec, Image: `${taggedImage(image)}@${digest}` },
      Placement: { ...task.Placement, ...(platforms.length > 0 ? { Platforms: platforms } : {}) },
    },
  };
}
