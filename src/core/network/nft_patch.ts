import { TABLE } from "./nft_ruleset.ts";

/**
 * A script for `nft -f` that makes the rules of script `after` of those of `before`, in one step, touching
 * only chains that differ; all of `after` where one of the two has no rules at all. Empty when nothing
 * differs. Both are scripts of `nftRuleset`.
 */
export function nftPatch(before: string, after: string): string {
  if (before === after) return "";
  const had = chainsOf(before);
  const wanted = chainsOf(after);
  if (had.size === 0 || wanted.size === 0) return after;
  const changed = [...wanted].filter(([name, text]) => had.get(name) !== text);
  const gone = [...had.keys()].filter((name) => !wanted.has(name));
  return [
    ...changed.filter(([name]) => had.has(name)).map(([name]) => `flush chain ip ${TABLE} ${name}`),
    `table ip ${TABLE} {`,
    ...changed.map(([, text]) => text),
    "}",
    // Nothing leads there any more: what did was flushed above.
    ...gone.map((name) => `delete chain ip ${TABLE} ${name}`),
  ].join("\n") + "\n";
}

/** The chains of a script by name, as text with their head. */
function chainsOf(script: string): Map<string, string> {
  const chains = new Map<string, string>();
  for (const match of script.matchAll(/^ {2}chain (\S+) \{\n[^]*?^ {2}\}$/gm)) {
    chains.set(match[1]!, match[0]);
  }
  return chains;
}
