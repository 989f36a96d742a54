import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../src/base/errors.ts";

/**
 * Commander's command with the flag habits of Docker's client: `--flag=false` for booleans, `-x=value`
 * for short flags, flags whose name begins with `no-` as plain flags, lists that repeat.
 */
export class FleetCommand extends Command {
  #endsAtArgument = false;
  /** Which flags may stand right behind the first argument. */
  #flagsAfterArgument: "none" | "own" | "all" = "none";
  /** The words that a flag takes, where it takes only some. */
  readonly words = new Map<string, readonly string[]>();

  /** Whether flags after the first argument belong to somebody else. */
  get endsAtArgument(): boolean {
    return this.#endsAtArgument;
  }

  override createCommand(name?: string): FleetCommand {
    return new FleetCommand(name);
  }

  /** A boolean; absent unless given. */
  flag(flags: string, help: string): this {
    return this.addOption(plain(new Option(flags, help)));
  }

  /** A flag with one value; the last one wins. `parse` may throw: its message is shown with the flag. */
  value<T>(flags: string, help: string, parse?: (text: string) => T): this {
    const option = plain(new Option(flags, help));
    if (parse) option.argParser((text) => guarded(parse, text));
    if (parse && "words" in parse) this.words.set(option.long ?? flags, parse.words as string[]);
    return this.addOption(option);
  }

  /** A flag that may be given several times. */
  list<T>(flags: string, help: string, parse?: (text: string) => T): this {
    const option = plain(new Option(flags, help));
    option.argParser((text, previous: unknown) => {
      const value = parse ? guarded(parse, text) : text;
      return [...(previous as unknown[] | undefined ?? []), value];
    });
    return this.addOption(option);
  }

  /** Shell lines shown at the end of the help. */
  examples(...lines: string[]): this {
    return this.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`);
  }

  /** The first argument ends the flags: what follows belongs to the command in the container. */
  endFlagsAtFirstArgument(): this {
    this.#endsAtArgument = true;
    return this.passThroughOptions();
  }

  /** The same, but this command's flags may stand right behind the first argument, too: `NAME -it -- sh`. */
  endFlagsAfterFirstArgument(): this {
    this.#flagsAfterArgument = "all";
    return this.endFlagsAtFirstArgument();
  }

  /**
   * The same for flags that this command has. The first word that is none of them begins the command in the
   * container, or `--` does: `IMAGE -r NAME --maxmemory 1gb` gives `--maxmemory 1gb` to the container.
   */
  endFlagsAfterOwn(): this {
    this.#flagsAfterArgument = "own";
    return this.endFlagsAtFirstArgument();
  }

  override parseOptions(argv: string[]): { operands: string[]; unknown: string[] } {
    const { args, off } = this.#normalise(
      this.#flagsAfterArgument === "none" ? argv : this.#flagsFirst(argv),
    );
    const result = super.parseOptions(args);
    for (const name of off) this.setOptionValueWithSource(name, false, "cli");
    const [, flag] = /^(-H|--host|-c|--context)(?:=|$)/.exec(result.unknown[0] ?? "") ?? [];
    if (flag !== undefined && this.commands.length === 0) {
      this.error(`error: ${flag} stands before the verb: fleet ${flag} … ${this.#words()} …`);
    }
    return result;
  }

  /** The command as it is typed behind `fleet` and its flags. */
  #words(): string {
    const above = this.parent as FleetCommand | null;
    return above?.parent ? `${above.#words()} ${this.name()}` : this.name();
  }

  /** `argv` with the flags behind the first argument before it. */
  #flagsFirst(argv: readonly string[]): string[] {
    const afterFlags = (start: number, ownOnly: boolean) => {
      let i = start;
      while (i < argv.length && /^-(?!-?$)/.test(argv[i]!)) {
        if (ownOnly && !this.#isOwn(argv[i]!)) break;
        i += this.#find(argv[i]!)?.required ? 2 : 1;
      }
      return Math.min(i, argv.length);
    };
    const first = afterFlags(0, false);
    if (first >= argv.length || argv[first] === "--") return [...argv];
    const end = afterFlags(first + 1, this.#flagsAfterArgument === "own");
    return [
      ...argv.slice(0, first),
      ...argv.slice(first + 1, end),
      argv[first]!,
      ...argv.slice(end),
    ];
  }

  /** Whether a word is a flag of this command in any spelling: `-p=80:80`, `-p80:80`, `-dq`, `--help`. */
  #isOwn(word: string): boolean {
    if (word === "-h" || word === "--help") return true;
    const [, name = word] = /^(--[^=]+|-[a-zA-Z])=/s.exec(word) ?? [];
    if (this.#find(name)) return true;
    return /^-[a-zA-Z]./.test(word) && this.#find(word.slice(0, 2))?.required === true;
  }

  /** `argv` in commander's spelling, and the booleans that were set to false. */
  #normalise(argv: string[]): { args: string[]; off: string[] } {
    const args: string[] = [];
    const off: string[] = [];
    for (let i = 0; i < argv.length; i++) {
      const arg = argv[i] ?? "";
      const isArgument = !arg.startsWith("-") || arg === "-";
      if (arg === "--" || (isArgument && (this.#endsAtArgument || this.commands.length > 0))) {
        args.push(...argv.slice(i));
        break;
      }
      const [, name, value] = /^(--[^=]+|-[a-zA-Z])=(.*)$/s.exec(arg) ?? [];
      const option = this.#find(name ?? arg);
      if (name === undefined || value === undefined || !option) {
        args.push(arg);
        // A value that looks like a flag is still the value.
        if (option?.required && i + 1 < argv.length) args.push(argv[++i] ?? "");
      } else if (option.required) {
        args.push(name, value);
      } else if (this.#isTrue(option, value)) {
        args.push(name);
      } else {
        off.push(option.attributeName());
      }
    }
    return { args, off };
  }

  #isTrue(option: Option, text: string): boolean {
    if (/^(1|t|true)$/i.test(text)) return true;
    if (/^(0|f|false)$/i.test(text)) return false;
    return this.error(`error: option '${option.flags}' is true or false, not "${text}"`);
  }

  #find(name: string): Option | undefined {
    const exact = this.options.find(({ short, long }) => short === name || long === name);
    if (exact || !/^-[a-zA-Z]{2,}$/.test(name)) return exact;
    // `-itu root`: booleans together, of which the last one may take a value.
    const letters = [...name.slice(1)].map((letter) =>
      this.options.find(({ short }) => short === `-${letter}`)
    );
    return letters.slice(0, -1).every((option) => option && !option.required)
      ? letters.at(-1)
      : undefined;
  }
}

/** Keeps `--no-trunc` a flag of its own; commander would make it the negation of `--trunc`. */
function plain(option: Option): Option {
  option.negate = false;
  return option;
}

function guarded<T>(parse: (text: string) => T, text: string): T {
  try {
    return parse(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}
