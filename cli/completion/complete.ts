import type { Option } from "commander";
import { COMMANDS } from "../commands.ts";
import type { CliEnvironment } from "../environment.ts";
import { FleetCommand } from "../fleet_command.ts";
import type { Entry } from "../verb.ts";
import { kindOf, liveNames } from "./names.ts";
import type { Chosen } from "./names.ts";

export interface Candidate {
  readonly value: string;
  readonly help: string;
}

/** Tells the shell that file names fit, too. */
const FILES = ":files";
const FILE_WORDS = /^(file|path|folder|directory)$/;

/**
 * What may stand in the place of the last of `words` (those after `fleet`, the last one as far as it is
 * typed): lines of `value TAB help`, and {@link FILES} where files fit.
 */
export async function complete(words: readonly string[], env: CliEnvironment): Promise<string> {
  const typed = words.at(-1) ?? "";
  const { candidates, files } = await candidatesFor(words.slice(0, -1), typed, env);
  const lines = candidates.filter(({ value }) => value.startsWith(typed))
    .map(({ value, help }) => help === "" ? value : `${value}\t${help}`);
  if (files) lines.push(FILES);
  return lines.map((line) => `${line}\n`).join("");
}

/** What stands for some arguments always; hosts are those of a lab, which has nine at most. */
const ARGUMENT_WORDS: Readonly<Record<string, readonly string[]>> = {
  role: ["worker", "manager"],
  host: ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"],
  other: ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"],
};

interface Fitting {
  readonly candidates: readonly Candidate[];
  readonly files?: boolean;
}

async function candidatesFor(
  before: readonly string[],
  typed: string,
  env: CliEnvironment,
): Promise<Fitting> {
  let entries: Readonly<Record<string, Entry>> = COMMANDS;
  const chosen: Chosen = {};
  for (let i = 0; i < before.length; i++) {
    const word = before[i]!;
    if (word === "-H" || word === "--host") chosen.host = before[++i] ?? "";
    else if (word === "-c" || word === "--context") chosen.context = before[++i] ?? "";
    else if (word.startsWith("-")) continue;
    else {
      const entry = entryOf(entries, word);
      if (!entry) return { candidates: [] };
      if (entry.verbs) entries = entry.verbs;
      else return await insideVerb(entry, before.slice(i + 1), typed, env, chosen);
    }
  }
  return { candidates: commandNames(entries) };
}

function entryOf(entries: Readonly<Record<string, Entry>>, word: string): Entry | undefined {
  return entries[word] ?? Object.values(entries).find(({ aliases }) => aliases?.includes(word));
}

function commandNames(entries: Readonly<Record<string, Entry>>): Candidate[] {
  return Object.entries(entries).filter(([, { hidden }]) => !hidden)
    .map(([value, { summary }]) => ({ value, help: summary }));
}

async function insideVerb(
  entry: Entry,
  before: readonly string[],
  typed: string,
  env: CliEnvironment,
  chosen: Chosen,
): Promise<Fitting> {
  const command = new FleetCommand("verb");
  (await entry.load!()).verb.define(command);
  const place = placeOf(command, before);
  if (place.option) return await values(command, place.option, env, chosen);
  if (typed.startsWith("-") && !place.afterFlags) return { candidates: flags(command) };
  const argument = command.registeredArguments[place.position] ??
    command.registeredArguments.findLast(({ variadic }) => variadic);
  if (!argument) return { candidates: [] };
  const words = (argument.parseArg as { words?: readonly string[] } | undefined)?.words ??
    ARGUMENT_WORDS[argument.name().replace(/s$/, "")];
  if (words) return { candidates: words.map((value) => ({ value, help: "" })) };
  const kind = argument.name() === "pattern" ? "service" : kindOf(argument.name());
  if (!kind) return { candidates: [], files: FILE_WORDS.test(argument.name()) };
  const used = new Set(before);
  const names = await liveNames(kind, env, chosen);
  return { candidates: names.filter(({ value }) => !used.has(value)) };
}

/** Whether the next word is a flag's value, or else which argument it is. */
function placeOf(command: FleetCommand, before: readonly string[]) {
  let position = 0;
  let afterFlags = false;
  let option: Option | undefined;
  for (const word of before) {
    if (option) option = undefined;
    else if (word === "--") afterFlags = true;
    else if (!afterFlags && word.startsWith("-") && word !== "-") {
      const found = command.options.find(({ short, long }) => short === word || long === word);
      if (found?.required) option = found;
    } else {
      position++;
      afterFlags ||= command.endsAtArgument;
    }
  }
  return { position, afterFlags, option };
}

async function values(
  command: FleetCommand,
  option: Option,
  env: CliEnvironment,
  chosen: Chosen,
): Promise<Fitting> {
  const words = command.words.get(option.long ?? "");
  if (words) return { candidates: words.map((value) => ({ value, help: "" })) };
  const what = /<([^>]+)>/.exec(option.flags)?.[1] ?? "";
  const kind = kindOf(option.long ?? "") ?? kindOf(what);
  if (kind) return { candidates: await liveNames(kind, env, chosen) };
  return { candidates: [], files: FILE_WORDS.test(what) || /-file$/.test(option.long ?? "") };
}

function flags(command: FleetCommand): Candidate[] {
  const own = command.options.filter(({ hidden }) => !hidden)
    .map(({ long, short, description }) => ({ value: long ?? short ?? "", help: description }));
  return [...own, { value: "--help", help: "display help for command" }];
}
