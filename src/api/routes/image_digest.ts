import type { Context } from "hono";
import { FleetError } from "../../base/errors.ts";
import { isImageReference } from "../../model/image_reference.ts";
import { pinnedSpec } from "../../model/pinned_image.ts";
import type { Distribution } from "../../model/pinned_image.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { looseBoolean } from "./query.ts";

/** Clients of this API version and newer pin images themselves. */
const CLIENTS_PIN_FROM = 30;
/** A registry that has not answered by then does not hold the service up. */
const LOOKUP_TIMEOUT_MS = 10_000;
/** Oldest version of the engine's API that has the question; fleet asks for no older engine. */
const DISTRIBUTION_API = "v1.41";

/**
 * Pins the image to the digest that its registry names, as this manager's engine finds it with the
 * caller's credentials: for clients too old to do so themselves, as Docker does, and for whoever asks by
 * `?resolveImage=true`. Without an answer the spec stays as it is and a warning says what that means.
 */
export async function pinImage(
  context: Context,
  engine: EngineFetch,
  spec: ServiceSpec,
  auth: string | undefined,
): Promise<{ spec: ServiceSpec; warnings: string[] }> {
  const image = spec.TaskTemplate?.ContainerSpec?.Image ?? "";
  const unpinned = image !== "" && !image.includes("@") && isImageReference(image);
  if (!unpinned || !isWanted(context)) return { spec, warnings: [] };
  try {
    const found = await distribution(engine, image, auth, context.req.raw.signal);
    return { spec: pinnedSpec(spec, image, found), warnings: [] };
  } catch (error) {
    context.req.raw.signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return {
      spec,
      warnings: [
        `image ${image} could not be accessed on a registry to record its digest (${why}). ` +
        `Each node will access ${image} independently, possibly leading to different nodes ` +
        "running different versions of the image.",
      ],
    };
  }
}

function isWanted(context: Context): boolean {
  if (looseBoolean(context, "resolveImage")) return true;
  const minor = /\/v1\.(\d+)\//.exec(context.req.url)?.[1];
  return minor !== undefined && Number(minor) < CLIENTS_PIN_FROM;
}

async function distribution(
  engine: EngineFetch,
  image: string,
  auth: string | undefined,
  signal: AbortSignal,
): Promise<Distribution> {
  // A reference holds nothing that a path cannot; the engine's route wants its slashes as they are.
  const response = await engine(`/${DISTRIBUTION_API}/distribution/${image}/json`, {
    method: "GET",
    ...(auth ? { headers: { "x-registry-auth": auth } } : {}),
    signal: AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]),
  });
  const body = await response.json() as Distribution & { message?: string };
  if (response.ok) return body;
  throw new FleetError("unavailable", body.message ?? `status ${response.status}`);
}
