import type { Fault } from "./options.ts";
import type { Summary } from "./run.ts";

/** A {@link Summary} as one line: what a child process says last. */
export interface Tally extends Omit<Summary, "failed" | "faults"> {
  readonly failed: number;
  readonly faults: readonly (readonly [Fault, number])[];
}

const MARK = "tally ";

export function tallyOf({ failed, faults, ...rest }: Summary): Tally {
  return { ...rest, failed: failed.length, faults: [...faults] };
}

export function printTally(tally: Tally): void {
  console.log(MARK + JSON.stringify(tally));
}

/** The sum of what ran side by side. */
export function sum(tallies: readonly Tally[]): Tally {
  const faults = new Map<Fault, number>();
  const total = (of: (tally: Tally) => number) => tallies.reduce((n, tally) => n + of(tally), 0);
  for (const tally of tallies) {
    for (const [fault, n] of tally.faults) faults.set(fault, (faults.get(fault) ?? 0) + n);
  }
  return {
    passed: total((t) => t.passed),
    failed: total((t) => t.failed),
    virtualMs: total((t) => t.virtualMs),
    operations: total((t) => t.operations),
    committed: total((t) => t.committed),
    leaderChanges: total((t) => t.leaderChanges),
    messages: total((t) => t.messages),
    lost: total((t) => t.lost),
    undecided: total((t) => t.undecided),
    slowestHealMs: Math.max(0, ...tallies.map((t) => t.slowestHealMs)),
    faults: [...faults],
  };
}

/** Runs this program once per list of arguments, all at a time; their lines go to `log` as they come. */
export async function inProcesses(
  argumentLists: readonly (readonly string[])[],
  log: (line: string) => void,
): Promise<Tally[]> {
  return await Promise.all(argumentLists.map(async (args) => {
    const main = new URL("./main.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", main, ...args, "--tally"],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let tally: Tally | undefined;
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith(MARK)) tally = JSON.parse(line.slice(MARK.length)) as Tally;
        else log(line);
      }
    }
    const { code } = await child.status;
    if (!tally) throw new Error(`simulation ${args.join(" ")} ended with exit code ${code}`);
    return tally;
  }));
}
