/** Every example of every help does what a person who types it expects the parser to do. */
import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { FleetCommand } from "./fleet_command.ts";
import { runFleet } from "./testing/fake_environment.ts";
import type { Entry } from "./verb.ts";

interface Listed {
  readonly path: readonly string[];
  readonly load: NonNullable<Entry["load"]>;
}

function verbs(entries: Readonly<Record<string, Entry>>, before: string[] = []): Listed[] {
  return Object.entries(entries).flatMap(([name, { verbs: inner, load }]) =>
    inner ? verbs(inner, [...before, name]) : [{ path: [...before, name], load: load! }]
  );
}

/** The words behind `fleet` of a line as a shell reads it, without pipes and redirections. */
function words(line: string): string[] {
  const [, command = ""] = /(?:^|[|(]\s*)fleet ((?:'[^']*'|\$\([^)]*\)|[^|>)])*)/.exec(line) ?? [];
  const found = command.matchAll(/(?:'[^']*'|\$\([^)]*\)|[^\s'])+/g);
  return [...found].map(([word]) => word.replaceAll("'", ""));
}

Deno.test("a line of an example is read as a shell reads it", () => {
  assert.deepEqual(words('eval "$(fleet lab env h1)"'), ["lab", "env", "h1"]);
  assert.deepEqual(words("source <(fleet completion bash)"), ["completion", "bash"]);
  assert.deepEqual(words("printf x | fleet secret create a - >f"), ["secret", "create", "a", "-"]);
  assert.deepEqual(words("fleet ls --format '{{.A}} {{.B}}'"), ["ls", "--format", "{{.A}} {{.B}}"]);
});

Deno.test("every example of the help is understood", async () => {
  let examples = 0;
  const all = verbs(COMMANDS);
  for (const { path } of all) {
    const { out } = await runFleet([...path, "--help"]);
    assert.equal(out.match(/^Examples:$/gm)?.length, 1, `${path.join(" ")}: Examples`);
    const [, text = ""] = out.split(/^Examples:$/m);
    for (const line of text.split("\n").filter((line) => /^ {2}\S/.test(line))) {
      const argv = words(line.trim());
      // Some show another verb's part in it.
      const named = all.findLast(({ path }) => path.every((word, i) => word === argv[i]));
      assert.ok(named, line);
      const own = argv.slice(named.path.length);
      const command = new FleetCommand("verb").exitOverride().configureOutput({
        writeErr: (message) => assert.fail(`${line.trim()}: ${message}`),
      }) as FleetCommand;
      (await named.load()).verb.define(command);
      let ran = false;
      command.action(() => void (ran = true));
      await command.parseAsync(own, { from: "user" });
      assert.ok(ran, line);
      // A flag that became an argument is one that was not understood.
      const rest = own.includes("--") ? command.args.slice(0, 1) : command.args;
      assert.deepEqual(rest.filter((word) => /^-./.test(word)), [], line);
      examples++;
    }
  }
  assert.ok(examples > 150, `${examples} examples`);
});
