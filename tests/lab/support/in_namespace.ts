import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/**
 * Runs a program of this checkout in a network namespace of its own, where it may make devices as it
 * likes; what it prints, as JSON. Its first argument is the path of `module`, given from the top.
 */
export async function inNetworkNamespace(program: string, module: string): Promise<unknown> {
  const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
  const file = await Deno.makeTempFile({ suffix: ".js" });
  try {
    await Deno.writeTextFile(file, program);
    const { success, stdout, stderr } = await new Deno.Command("unshare", {
      args: [
        ...["--net", Deno.execPath(), "run", "-A", "--no-check", "--config", at("deno.json")],
        ...[file, at(module)],
      ],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(file);
  }
}
