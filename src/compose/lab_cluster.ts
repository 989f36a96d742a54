import type { Lab } from "../adapters/lab_hosts/lab.ts";
import { capture, until } from "../adapters/lab_hosts/process.ts";
import { FleetError } from "../base/errors.ts";

const COMMAND_TIMEOUT_MS = 120_000;
const READY_TIMEOUT_MS = 120_000;
const SERVICE = "web";

/** What `fleet …` says against a host's agent. @throws FleetError with its own words */
export async function wordsOf(lab: Lab, host: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await capture([...lab.binary, ...args], {
    env: lab.host(host).env(),
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
  if (code === 0) return stdout;
  throw new FleetError("unavailable", `${host}: fleet ${args.join(" ")}: ${stderr.trim()}`);
}

/** On a machine that is busy it may happen that nobody leads for a moment: one looks again. */
const nothingYet = () => "";

/** Makes a cluster of all hosts: the first `managers` of them manage. */
export async function formCluster(lab: Lab, managers: number): Promise<void> {
  const [first, ...others] = lab.hosts;
  await wordsOf(lab, first!.name, ["init", "--advertise-addr", first!.address]);
  const token = async (role: string) =>
    (await wordsOf(lab, first!.name, ["join-token", "-q", role])).trim();
  const tokens = { manager: await token("manager"), worker: await token("worker") };
  for (const [i, host] of others.entries()) {
    const role = i + 1 < managers ? "manager" : "worker";
    await wordsOf(lab, host.name, ["join", "--token", tokens[role], `${first!.address}:2377`]);
  }
  await until("all nodes ready", async () => {
    const list = ["node", "ls", "--format", "{{.Status}}"];
    const states = await wordsOf(lab, first!.name, list).catch(nothingYet);
    return states.trim().split("\n").every((state) => state === "Ready") &&
      states.trim().split("\n").length === lab.hosts.length;
  }, READY_TIMEOUT_MS);
}

/** A service, a host that dies, and what becomes of it; every step as a person would type it. */
export async function showDemo(lab: Lab, say: (text: string) => void): Promise<void> {
  const show = async (...args: string[]) => {
    say(`\n$ fleet ${args.join(" ")}\n`);
    say(await wordsOf(lab, "h1", args));
  };
  await show("node", "ls");
  await show(
    "service",
    "create",
    "--name",
    SERVICE,
    "--replicas",
    "3",
    "busybox:latest",
    "sleep",
    "100000",
  );
  await show("service", "ps", SERVICE);
  say("\n$ fleet lab kill h3        # the power of h3 is cut\n");
  await lab.host("h3").crash();
  await until("three tasks on the hosts that are left", async () => {
    const format = "{{.Node}} {{.CurrentState}}";
    const filter = ["--filter", "desired-state=running", "--format", format];
    const list = ["service", "ps", ...filter, SERVICE];
    const lines = (await wordsOf(lab, "h1", list).catch(nothingYet)).trim().split("\n");
    return lines.filter((line) => /^h[12] Running/.test(line)).length === 3;
  }, READY_TIMEOUT_MS);
  await show("service", "ps", SERVICE);
  await show("info");
}
