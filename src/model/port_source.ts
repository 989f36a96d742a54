import { FleetError } from "../base/errors.ts";
import type { ServiceSpec } from "./service_spec.ts";

/**
 * Label of a service: which address its tasks see as that of a client of a published port. With the
 * number of a published port behind it (`fleet.source.8080`) it is about that port only.
 */
export const SOURCE_LABEL = "fleet.source";

/**
 * `masquerade`, as in Swarm: any node answers, by whichever task, and is itself the client that tasks see.
 * `node-local`: a node answers by tasks of its own only, which see the client's own address.
 * `preserve`: any node answers by whichever task, which sees the client's own address; what it answers
 * goes back by the node that was asked.
 */
export const PORT_SOURCES = ["masquerade", "node-local", "preserve"] as const;
export type PortSource = typeof PORT_SOURCES[number];
/** Asked for, but not there yet; named so that the refusal can say more. */
const LATER: ReadonlySet<string> = new Set(["proxy"]);

/** How a published port shows its clients. */
export function sourceOf({ Labels = {} }: ServiceSpec, published: number): PortSource {
  const asked = Labels[`${SOURCE_LABEL}.${published}`] ?? Labels[SOURCE_LABEL];
  return PORT_SOURCES.find((source) => source === asked) ?? "masquerade";
}

/** @throws FleetError invalid for a word that is no source */
export function checkSource(where: string, word: string): void {
  if ((PORT_SOURCES as readonly string[]).includes(word)) return;
  throw new FleetError(
    "invalid",
    LATER.has(word)
      ? `${where}: source ${word} is not there yet; preserve and node-local keep the client's address`
      : `${where}: "${word}" is none of ${PORT_SOURCES.join(", ")}`,
  );
}

/** Checks the labels of a spec. @throws FleetError invalid */
export function checkSources({ Labels = {}, TaskTemplate, Networks = [] }: ServiceSpec): void {
  const others = [...TaskTemplate?.Networks ?? [], ...Networks];
  for (const [label, word] of Object.entries(Labels)) {
    if (label !== SOURCE_LABEL && !label.startsWith(`${SOURCE_LABEL}.`)) continue;
    checkSource(label, word);
    // A container sends what is for outside by one of its networks, and that has to be the mesh's.
    if (word === "preserve" && others.length > 0) {
      throw new FleetError(
        "invalid",
        `${label}: source preserve is for services on no network of their own; use node-local`,
      );
    }
  }
}
