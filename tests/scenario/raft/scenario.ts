import { Interpreter } from "./interpreter.ts";

/**
 * A scenario is a text: lines that start with `> ` are commands, the lines right below one are the output
 * that is expected of it, up to an empty line or the next command. Lines that start with `#` are remarks.
 * The result is the same text with the output that the commands really had.
 */
export function play(text: string): string {
  const interpreter = new Interpreter();
  const out: string[] = [];
  let inOutput = false;
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("> ")) {
      out.push(line);
      out.push(...interpreter.run(line.slice(2).trim()));
      inOutput = true;
    } else if (line === "" || line.startsWith("#")) {
      out.push(line);
      inOutput = false;
    } else if (!inOutput) {
      throw new Error(`neither a command nor output nor a remark: "${line}"`);
    }
  }
  return out.join("\n") + "\n";
}
