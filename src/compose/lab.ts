import type {
  LabAct,
  LabCommands,
  LabLink,
  LabOutput,
  LabUpOptions,
} from "../../cli/environment.ts";
import { formCluster, showDemo, wordsOf } from "./lab_cluster.ts";
import { Lab } from "../adapters/lab_hosts/lab.ts";
import type { LabOptions } from "../adapters/lab_hosts/lab.ts";
import { nameFlag } from "../adapters/lab_hosts/layout.ts";
import { requireRoot } from "../adapters/lab_hosts/requirements.ts";
import type { LabHost } from "../adapters/lab_hosts/host.ts";
import { FleetError } from "../base/errors.ts";
import { onInterrupt, ownCommand } from "./cli_environment.ts";

/** The verbs of `fleet lab`, for root. @throws FleetError forbidden */
export function labCommands(): LabCommands {
  requireRoot();
  return {
    labUp,
    labStatus,
    labEnv,
    labExec,
    labDown,
    labCut,
    labHost,
    labNet,
    labDemo,
    labOpen,
  };
}

const UI_PORT = 8443;
const UI_ARGS = [
  ...["--ui-addr", `{address}:${UI_PORT}`],
  ...["--ui-cert", "{folder}/ui.pem", "--ui-key", "{folder}/ui.key"],
];

/**
 * Makes a lab and does `work` on it. Ctrl-C and failures take it away again: half a lab is of no use, and nobody would
 * know of it. @throws FleetError
 */
async function makeLab(
  options: Omit<LabOptions, "signal" | "binary">,
  work: (lab: Lab) => Promise<void>,
): Promise<Lab> {
  const { command, args } = ownCommand();
  const controller = new AbortController();
  const { signal } = controller;
  const ignore = onInterrupt(() =>
    controller.abort(new FleetError("canceled", "interrupted: the lab was removed again"))
  );
  try {
    const lab = await Lab.up({ ...options, binary: [command, ...args], signal });
    const interrupted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => interrupted.reject(signal.reason));
    if (signal.aborted) interrupted.reject(signal.reason);
    try {
      await Promise.race([work(lab), interrupted.promise]);
    } catch (error) {
      await lab.down();
      throw error;
    }
    return lab;
  } finally {
    ignore();
  }
}

async function labUp(options: LabUpOptions, output: LabOutput): Promise<number> {
  const { name, hosts, managers } = options;
  const suffix = nameFlag(name);
  const lab = await makeLab({
    name,
    hosts,
    ...(options.ui ? { agentArgs: UI_ARGS, files: uiFiles } : {}),
    onProgress: (line) => output.stderr.write(`${line}\n`),
  }, async (lab) => {
    if (managers !== undefined) await formCluster(lab, managers);
    await link(lab, lab.hosts.map((host) => host.name), options);
  });
  output.stdout.write(
    `Lab ${lab.name} is up: ${
      lab.hosts.map((host) => `${host.name} (${host.address})`).join(", ")
    }\n` +
      (managers === undefined
        ? ""
        : `They are a cluster with ${managers} manager${managers === 1 ? "" : "s"}.\n`) +
      `\n  eval "$(fleet lab env${suffix} h1)"\n` +
      (managers === undefined
        ? `  fleet init --advertise-addr ${lab.hosts[0]!.address}\n`
        : "  fleet node ls\n") +
      (options.ui ? `  fleet lab open${suffix}\n\n` : "\n") +
      `fleet lab down${suffix} removes it.\n`,
  );
  return 0;
}

async function uiFiles(addresses: readonly string[]): Promise<Record<string, string>> {
  const { createWebCertificate } = await import("../adapters/crypto/web_certificate.ts");
  const { certPem, keyPem } = createWebCertificate("fleet lab", addresses, Date.now());
  return { "ui.pem": certPem, "ui.key": keyPem };
}

async function labStatus({ name }: { name: string }, output: LabOutput): Promise<number> {
  const lab = Lab.open(name);
  const rows = [["HOST", "ADDRESS", "ENGINE", "AGENT", "SOCKET"], ...lab.hosts.map(statusRow)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    output.stdout.write(row.map((cell, i) => cell.padEnd(widths[i]!)).join("   ").trimEnd() + "\n");
  }
  for (const [a = "", b] of await lab.cuts()) {
    const what = b === undefined
      ? `${a} is off the network`
      : `${a} and ${b} do not hear each other`;
    const heal = ["fleet lab heal", nameFlag(lab.name).trim(), a, b ?? ""].filter(Boolean).join(
      " ",
    );
    output.stdout.write(`${what}: ${heal}\n`);
  }
  return 0;
}

function statusRow(host: LabHost): string[] {
  const state = (daemon: "dockerd" | "agent") => {
    const pid = host.pid(daemon);
    if (pid === undefined) return "down";
    return `${host.isPaused(daemon) ? "paused" : "up"} (${pid})`;
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

async function labCut(
  { name, hosts, cut }: { name: string; hosts: readonly string[]; cut: boolean },
  output: LabOutput,
): Promise<number> {
  const lab = Lab.open(name);
  const [a = "", b] = hosts;
  if (b === undefined) {
    await lab.host(a).link(cut ? "down" : "up");
    output.stdout.write(cut ? `${a} is off the network.\n` : `${a} is on the network.\n`);
    return 0;
  }
  await (cut ? lab.cut(a, b) : lab.heal(a, b));
  output.stdout.write(
    cut ? `${a} and ${b} do not hear each other.\n` : `${a} and ${b} hear each other.\n`,
  );
  return 0;
}

async function labHost(
  options: { name: string; host: string; act: LabAct; only?: "agent" | "engine" },
  output: LabOutput,
): Promise<number> {
  const { act, only } = options;
  const host = Lab.open(options.name).host(options.host);
  const daemons = (["dockerd", "agent"] as const)
    .filter((daemon) => only === undefined || (only === "agent") === (daemon === "agent"));
  if ((act === "pause" || act === "resume") && daemons.every((daemon) => !host.pid(daemon))) {
    throw new FleetError(
      "unavailable",
      `${host.name} does not run: fleet lab start${nameFlag(options.name)} ${host.name}`,
    );
  }
  const said = (what: string) => {
    output.stdout.write(`${host.name}${only ? `'s ${only}` : ""} ${what}.\n`);
    return 0;
  };
  switch (act) {
    case "kill":
      if (only === "engine") await host.killEngine();
      else if (only === "agent") host.signal("agent", "SIGKILL");
      else await host.crash();
      return said("is dead");
    case "pause":
      for (const daemon of daemons) host.signal(daemon, "SIGSTOP");
      return said("hangs");
    case "resume":
      for (const daemon of daemons) host.signal(daemon, "SIGCONT");
      return said("goes on");
    case "start":
      if (!host.isUp()) await host.boot();
      if (only !== "agent") await host.startEngine();
      if (only !== "engine") await host.startAgent();
      return said("is up");
  }
}

async function labNet(
  options: { name: string; hosts: readonly string[] } & LabLink,
  output: LabOutput,
): Promise<number> {
  const lab = Lab.open(options.name);
  const hosts = options.hosts.length > 0 ? options.hosts : lab.hosts.map(({ name }) => name);
  await link(lab, hosts, { delayMs: 0, lossPercent: 0, ...options });
  const { delayMs = 0, lossPercent = 0 } = options;
  const what = delayMs === 0 && lossPercent === 0
    ? "as they were"
    : [delayMs > 0 ? `${delayMs} ms later` : "", lossPercent > 0 ? `${lossPercent}% lost` : ""]
      .filter((part) => part !== "").join(", ");
  output.stdout.write(`Packets to ${hosts.join(", ")}: ${what}.\n`);
  return 0;
}

async function link(lab: Lab, hosts: readonly string[], { delayMs, lossPercent }: LabLink) {
  if (delayMs === undefined && lossPercent === undefined) return;
  for (const host of hosts) {
    await lab.impair(host, { delayMs: delayMs ?? 0, lossPercent: lossPercent ?? 0 });
  }
}

async function labDemo(
  { name, keep }: { name: string; keep: boolean },
  output: LabOutput,
): Promise<number> {
  const say = (text: string) => output.stdout.write(text);
  say("Three Docker hosts on this machine …\n");
  const lab = await makeLab({ name, hosts: 3 }, async (lab) => {
    await formCluster(lab, 3);
    await showDemo(lab, say);
  });
  if (!keep) await lab.down();
  say(
    keep
      ? `\nThe lab stays: eval "$(fleet lab env --name ${name} h1)" looks at it, fleet lab down --name ${name} removes it.\n`
      : "\nThe lab is gone.\n",
  );
  return 0;
}

async function labOpen(
  { name, host }: { name: string; host: string },
  output: LabOutput,
): Promise<number> {
  const lab = Lab.open(name);
  if (!await Deno.stat(`${lab.layout.folder}/ui.pem`).then(() => true, () => false)) {
    throw new FleetError(
      "unavailable",
      `lab ${name} was started with --ui=false: fleet lab down${nameFlag(name)}, then up again`,
    );
  }
  output.stdout.write(await wordsOf(lab, host, ["ui", "--quiet"]));
  output.stderr.write(
    "It works once. The browser asks whether to trust it: the lab's certificate is its own.\n",
  );
  return 0;
}
