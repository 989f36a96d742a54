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
 * `proxy`: any node answers, by whichever task, which is told of the client by a header of the PROXY
 * protocol, version 2, before the client's own words; for TCP, and tasks that know the protocol.
 */
export const PORT_SOURCES = ["masquerade", "node-local", "preserve", "proxy"] as const;
export type PortSource = typeof PORT_SOURCES[number];

/** How a published port shows its clients. */
export function sourceOf({ Labels = {} }: ServiceSpec, published: number): PortSource {
  const asked = Labels[`${SOURCE_LABEL}.${published}`] ?? Labels[SOURCE_LABEL];
  return PORT_SOURCES.find((source) => source === asked) ?? "masquerade";
}

/** @throws FleetError invalid for a word that is no source */
export function checkSource(where: string, word: string): void {
  if ((PORT_SOURCES as readonly string[]).includes(word)) return;
  throw new FleetError("invalid", `${where}: "${word}" is none of ${PORT_SOURCES.join(", ")}`);
}

/** Checks the labels of a spec. @throws FleetError invalid */
export function checkSources(spec: ServiceSpec): void {
  const { Labels = {}, TaskTemplate, Networks = [], EndpointSpec } = spec;
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
  for (
    const { Protocol = "tcp", PublishedPort = 0, TargetPort, PublishMode = "ingress" }
      of EndpointSpec
        ?.Ports ?? []
  ) {
    if (Protocol === "tcp" || PublishMode !== "ingress") continue;
    if (sourceOf(spec, PublishedPort) !== "proxy") continue;
    throw new FleetError(
      "invalid",
      PublishedPort === 0
        ? `port ${TargetPort}/${Protocol}: source proxy is for TCP; publish it at a port that label ${SOURCE_LABEL}.PORT can name`
        : `port ${PublishedPort}/${Protocol}: source proxy is for TCP; label ${SOURCE_LABEL}.${PublishedPort} can give this port another one`,
    );
  }
}
