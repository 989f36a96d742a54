import type { LabCommands, LabOutput } from "../../cli/environment.ts";
import { Lab } from "../adapters/lab_hosts/lab.ts";
import type { LabHost } from "../adapters/lab_hosts/host.ts";
import { FleetError } from "../base/errors.ts";
import { onInterrupt, ownCommand } from "./cli_environment.ts";

/** The verbs of `fleet lab`. */
export function labCommands(): LabCommands {
  return { labUp, labStatus, labEnv, labExec, labDown };
}

async function labUp(options: { name: string; hosts: number }, output: LabOutput): Promise<number> {
  const { command, args } = ownCommand();
  const controller = new AbortController();
  const ignore = onInterrupt(() =>
    controller.abort(new FleetError("canceled", "interrupted: the lab was removed again"))
  );
  const lab = await Lab.up({
    ...options,
    binary: [command, ...args],
    signal: controller.signal,
    onProgress: (line) => output.stderr.write(`${line}\n`),
  }).finally(ignore);
  const suffix = lab.name === "lab" ? "" : ` --name ${lab.name}`;
  output.stdout.write(
    `Lab ${lab.name} is up: ${
      lab.hosts.map((host) => `${host.name} (${host.address})`).join(", ")
    }\n\n` +
      `  eval "$(fleet lab env h1${suffix})"\n` +
      `  fleet init --advertise-addr ${lab.hosts[0]!.address}\n\n` +
      `fleet lab down${suffix} removes it.\n`,
  );
  return 0;
}

function labStatus({ name }: { name: string }, output: LabOutput): Promise<number> {
  const lab = Lab.open(name);
  const rows = [["HOST", "ADDRESS", "ENGINE", "AGENT", "SOCKET"], ...lab.hosts.map(statusRow)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    output.stdout.write(row.map((cell, i) => cell.padEnd(widths[i]!)).join("   ").trimEnd() + "\n");
  }
  return Promise.resolve(0);
}

function statusRow(host: LabHost): string[] {
  const state = (daemon: "dockerd" | "agent") => {
    const pid = host.pid(daemon);
    return pid === undefined ? "down" : `up (${pid})`;
  };
  return [host.name, host.address, state("dockerd"), state("agent"), host.layout.fleetSocket];
}

function labEnv(
  { name, host }: { name: string; host: string },
  output: LabOutput,
): Promise<number> {
  for (const [key, value] of Object.entries(Lab.open(name).host(host).env())) {
    output.stdout.write(`export ${key}=${value}\n`);
  }
  return Promise.resolve(0);
}

async function labExec(
  { name, host, command }: { name: string; host: string; command: readonly string[] },
): Promise<number> {
  return await Lab.open(name).host(host).execInteractively(command);
}

async function labDown({ name }: { name: string }, output: LabOutput): Promise<number> {
  if (!await Lab.remove(name)) throw new FleetError("not-found", `there is no lab "${name}"`);
  output.stdout.write(`Lab ${name} is gone.\n`);
  return 0;
}
