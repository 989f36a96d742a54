import { until } from "../../src/adapters/lab_hosts/process.ts";
import type { Lab } from "../../src/adapters/lab_hosts/lab.ts";

/** Docker Swarm on a lab's own engines, as the peer to measure beside. fleet's agents must not run. */
export async function formSwarm(lab: Lab, managers: number): Promise<void> {
  const [first, ...others] = lab.hosts;
  await must(first!.docker(["swarm", "init", "--advertise-addr", first!.address]));
  for (const [i, host] of others.entries()) {
    const role = i + 1 < managers ? "manager" : "worker";
    const token = (await must(first!.docker(["swarm", "join-token", "-q", role]))).trim();
    await must(host.docker(["swarm", "join", "--token", token, `${first!.address}:2377`]));
  }
}

export async function leaveSwarm(lab: Lab): Promise<void> {
  for (const host of lab.hosts.toReversed()) await host.docker(["swarm", "leave", "--force"]);
}

/** Waits until the service has `replicas` running tasks. */
export async function swarmRunning(
  lab: Lab,
  service: string,
  replicas: number,
  timeoutMs = 120_000,
): Promise<void> {
  await until(
    `${service} at ${replicas}`,
    async () => {
      const { stdout } = await lab.hosts[0]!.docker([
        "service",
        "ls",
        "--filter",
        `name=${service}`,
        "--format",
        "{{.Replicas}}",
      ]);
      return stdout.trim() === `${replicas}/${replicas}`;
    },
    timeoutMs,
    50,
  );
}

async function must(
  run: Promise<{ code: number; stdout: string; stderr: string }>,
): Promise<string> {
  const { code, stdout, stderr } = await run;
  if (code !== 0) throw new Error(stderr);
  return stdout;
}
