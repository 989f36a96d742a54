import { createHmac } from "node:crypto";
import { FleetError } from "../../base/errors.ts";
import { desiredEsp, parseAssociations, parsePolicies, planEsp } from "../../core/network/esp.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import type { NetworkKey } from "../../model/session.ts";
import { batchFailures } from "./render.ts";
import { runTool } from "./run_tool.ts";

/** AES-128 key and four bytes of salt (RFC 4106). */
const KEY_BYTES = 20;
/** Never used: made and removed again to see whether the kernel can. */
const PROBE = ["src", "127.0.0.1", "dst", "127.0.0.1", "proto", "esp", "spi", "0xf1ee7"];

/** Encryption between nodes by the kernel's ESP, driven by `ip xfrm`. */
export class EspHost {
  readonly #run: typeof runTool;
  /** That it can is not asked again; what it lacks may have come with a module. */
  #can = false;

  constructor(run: typeof runTool = runTool) {
    this.#run = run;
  }

  /**
   * Makes the kernel encrypt for these networks, and no others of fleet's; the number of changes.
   * @throws FleetError unavailable when the kernel cannot, internal when `ip` refuses
   */
  async apply(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<number> {
    const desired = desiredEsp(networks, deriveKey);
    if (desired.associations.length > 0) {
      const problem = await this.problem(signal);
      if (problem !== undefined) throw new FleetError("unavailable", problem);
    }
    const [states, policies] = await Promise.all([
      this.#run(["ip", "-4", "xfrm", "state"], signal),
      this.#run(["ip", "-4", "xfrm", "policy"], signal),
    ]);
    const lines = planEsp(desired, {
      associations: parseAssociations(states.stdout),
      policies: parsePolicies(policies.stdout),
    });
    if (lines.length === 0) return 0;
    const script = lines.join("\n") + "\n";
    const { success, stderr } = await this.#run(["ip", "-force", "-batch", "-"], signal, script);
    if (!success) {
      const [number = 0, reason = stderr.trim()] = [...batchFailures(stderr)][0] ?? [];
      const line = (lines[number - 1] ?? "").replace(/0x[0-9a-f]{40}/g, "…");
      throw new FleetError("internal", `encryption: ip ${line}: ${reason}`);
    }
    return lines.length;
  }

  /** Why the kernel cannot encrypt; undefined when it can. Found out by trying, until it could. */
  async problem(signal: AbortSignal): Promise<string | undefined> {
    if (this.#can) return undefined;
    const problem = await probe(this.#run, signal);
    this.#can = problem === undefined;
    return problem;
  }
}

async function probe(run: typeof runTool, signal: AbortSignal): Promise<string | undefined> {
  await run(["ip", "xfrm", "state", "delete", ...PROBE], signal);
  const key = `0x${"00".repeat(KEY_BYTES)}`;
  const { success, stderr } = await run([
    ...["ip", "xfrm", "state", "add", ...PROBE, "mode", "transport"],
    ...["aead", "rfc4106(gcm(aes))", key, "128"],
  ], signal);
  if (!success) {
    return `the kernel cannot encrypt: it has no ESP with AES-GCM (modprobe -a xfrm_user esp4 gcm): ${
      stderr.trim().split("\n")[0]
    }`;
  }
  await run(["ip", "xfrm", "state", "delete", ...PROBE], signal);
  return undefined;
}

/**
 * The key of one direction between two nodes, from a key of the cluster by HMAC-SHA256: no two directions
 * share one, as AES-GCM demands. The kernel begins each association's initialisation vectors at a random
 * place, so an association that is made anew does not repeat them.
 */
export function deriveKey({ id, key }: NetworkKey, src: string, dst: string): string {
  const mac = createHmac("sha256", Uint8Array.fromBase64(key));
  return `0x${mac.update(`fleet esp 1 ${id} ${src} ${dst}`).digest("hex").slice(0, 2 * KEY_BYTES)}`;
}
