import { taggedImage } from "./tagged_image.ts";
import type { Platform, ServiceSpec } from "./service_spec.ts";

/** What a registry says of an image: Docker's `GET /distribution/{name}/json`. */
export interface Distribution {
  readonly Descriptor?: { readonly digest?: string };
  readonly Platforms?: readonly { readonly architecture?: string; readonly os?: string }[] | null;
}

/** `spec` with the image's digest, and placed on the platforms that the image has. */
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
