/** Services whose containers are asked from within, by commands. */
import assert from "node:assert/strict";
import type { Output } from "../../../src/adapters/lab_hosts/process.ts";
import type { FleetLab } from "../../support/fleet_lab.ts";
import { until } from "../../support/until.ts";
import { NETWORK_IMAGE } from "./network_image.ts";

/** A service on networks, whose tasks run a command. */
export async function create(
  lab: FleetLab,
  name: string,
  networks: readonly string[],
  flags: readonly string[],
  command: readonly string[],
): Promise<void> {
  await lab.docker(
    "h1",
    ...["service", "create", "--detach", "--no-resolve-image", "--name", name],
    // Most commands here do not listen to SIGTERM.
    ...["--stop-grace-period", "1s", ...flags],
    ...networks.flatMap((network) => ["--network", network]),
    NETWORK_IMAGE,
    ...command,
  );
}

/** Runs a command in the service's container on a host. */
export async function inside(lab: FleetLab, service: string, host: string, script: string) {
  const container = (await lab.containers(service)).find((found) => found.host === host);
  assert(container, `${service} has a container on ${host}`);
  return await lab.host(host).docker(["exec", container.id, "sh", "-c", script]);
}

/** What must succeed there, as soon as the node has heard of what it needs. */
export async function insideMust(lab: FleetLab, service: string, host: string, script: string) {
  let output: Output | undefined;
  await until(`${script} in ${service} on ${host}`, async () => {
    output = await inside(lab, service, host, script);
    return output.code === 0;
  }).catch((error) => assert.fail(`${error}: ${output?.stdout}${output?.stderr}`));
  return output!.stdout.trim();
}

/** For a container that has just begun, in which names and others are known a moment later. */
export const patiently = (command: string) =>
  `i=0; until ${command}; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done`;

/** First words of lines, each once. */
export const names = (text: string) =>
  [...new Set(text.split("\n").map((line) => line.split(" ")[0]!).filter(Boolean))].sort();
