/** What a node gives out for a service, watched from outside fleet: names, and the balancer's rules. */
import dgram from "node:dgram";
import { Buffer } from "node:buffer";
// @ts-types="../../src/adapters/dns/dns_packet.d.ts"
import packet from "dns-packet";
import type { FleetLab } from "./fleet_lab.ts";

const ASK_EVERY_MS = 10;
const LIST_EVERY_MS = 25;
/** What the node knows it answers at once; for a name that it does not know others are asked. */
const FORWARDED_MS = 400;

/** What a node gives out for the service, as of a moment by the machine's clock. */
export interface Sample {
  readonly at: number;
  readonly addresses: readonly string[];
}

/**
 * Tells each change of what a node gives out for a service, as a container of the service `asker` there
 * hears it, or as the rules of the kernel have it. The process ends when it is killed.
 */
export async function sample(
  lab: FleetLab,
  host: string,
  { network, service, what, asker: from = "asker" }: {
    readonly network: string;
    readonly service: string;
    /** The tasks' names, the name itself (of a container outside services), or the kernel's rules. */
    readonly what: "names" | "name" | "rules";
    /** The service whose containers ask. */
    readonly asker?: string;
  },
  tell: (sample: Sample) => void,
): Promise<Deno.ChildProcess> {
  const asker = (await lab.containers(from)).find((found) => found.host === host)!;
  const inspect = `{{.State.Pid}} {{(index .NetworkSettings.Networks "${network}").Gateway}}`;
  const { stdout } = await lab.host(host).docker(["inspect", asker.id, "--format", inspect]);
  const [container, gateway] = stdout.trim().split(" ");
  // Inside the host the container's process has the number that its engine tells.
  const inside = what !== "rules" ? ["nsenter", "-t", container!, "-n"] : [];
  const child = new Deno.Command("nsenter", {
    args: [
      ...["-t", String(lab.host(host).pid("dockerd")), "-m", "-p", "-n", ...inside],
      ...[Deno.execPath(), "run", "-A", "--no-check", import.meta.filename!, what, service],
      gateway!,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) tell(JSON.parse(line) as Sample);
    }
  })();
  return child;
}

/** Prints what changes, with the time at which it was first seen. */
async function watch(every: number, look: () => Promise<string[]>): Promise<void> {
  let last = "";
  for (;;) {
    const addresses = (await look()).sort();
    const at = Date.now();
    if (addresses.join() !== last) console.log(JSON.stringify({ at, addresses }));
    last = addresses.join();
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

async function askNames(name: string, server: string): Promise<void> {
  const socket = dgram.createSocket("udp4");
  let id = 0;
  let answered: (addresses: string[]) => void = () => {};
  socket.on("message", (message) => {
    const { answers = [], id: of } = packet.decode(Buffer.from(message));
    if (of === id) answered(answers.map(({ data }) => String(data)));
  });
  await watch(ASK_EVERY_MS, () =>
    new Promise((resolve) => {
      id = (id + 1) % 0x1_0000;
      const forwarded = setTimeout(() => resolve([]), FORWARDED_MS);
      answered = (addresses) => {
        clearTimeout(forwarded);
        resolve(addresses);
      };
      const questions = [{ type: "A" as const, name }];
      socket.send(packet.encode({ type: "query", id, questions }), 53, server);
    }));
}

/** Addresses behind the service's virtual address; the chain has its name as comment. */
async function listRules(service: string): Promise<void> {
  const rule = new RegExp(
    `chain vip-[\\d-]+ \\{\\s*comment "${service}"[^}]*?(?:dnat to [^\\n]*)`,
  );
  await watch(LIST_EVERY_MS, async () => {
    const { stdout } = await new Deno.Command("nft", { args: ["list", "table", "ip", "fleet"] })
      .output();
    const chain = rule.exec(new TextDecoder().decode(stdout));
    return chain?.[0].slice(chain[0].indexOf("dnat")).match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
  });
}

if (import.meta.main) {
  const [what, service, server] = Deno.args;
  const name = what === "names" ? `tasks.${service}` : service!;
  await (what === "rules" ? listRules(service!) : askNames(name, server!));
}
