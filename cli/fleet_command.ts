import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../src/base/errors.ts";

/**
 * Commander's command with the flag habits of Docker's client: `--flag=false` for booleans, `-x=value`
 * for short flags, flags whose name begins with `no-` as plain flags, lists that repeat.
 */
export class FleetCommand extends Command {
  #endsAtArgument = false;
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

  override parseOptions(argv: string[]): { operands: string[]; unknown: string[] } {
    const { args, off } = this.#normalise(argv);
    const result = super.parseOptions(args);
    for (const name of off) this.setOptionValueWithSource(name, false, "cli");
    return result;
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
    return this.options.find((option) => option.short === name || option.long === name);
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
