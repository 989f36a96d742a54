/**
 * Two machines with Debian's kernel, an engine and the compiled executable each: the routing mesh by IPVS, and
 * encrypted networks.
 */
import { encryptedSteps } from "./support/encrypted_steps.ts";
import { ipvsSteps } from "./support/ipvs_steps.ts";
import { dependentSteps, withVmCluster } from "./support/vm_cluster.ts";

Deno.test("published ports by IPVS, and encrypted networks, between agents on real kernels", async (t) => {
  const step = dependentSteps(t);
  await withVmCluster(async (lab) => {
    await ipvsSteps(step, lab);
    await encryptedSteps(step, lab);
  });
});
