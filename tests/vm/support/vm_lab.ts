import { systemImage } from "./system_image.ts";
import type { SystemImage } from "./system_image.ts";
import { VirtualMachine } from "./virtual_machine.ts";
import { VmNetwork } from "./vm_network.ts";

export interface VmLab {
  readonly network: VmNetwork;
  readonly machines: readonly VirtualMachine[];
}

/**
 * Runs `use` with machines `vm1`, `vm2` … on one cable, which see the folder `share` as /mnt/host; all of
 * it is removed afterwards.
 */
export async function withVms(
  options: {
    readonly count: number;
    readonly share: string;
    readonly memoryMb?: number;
    /** The machines; by default with a system of their own, and an engine. */
    readonly image?: () => Promise<SystemImage>;
  },
  use: (lab: VmLab) => Promise<void>,
): Promise<void> {
  const image = await (options.image ?? systemImage)();
  await using stack = new AsyncDisposableStack();
  const network = await VmNetwork.create();
  stack.defer(() => network.remove());
  const { share, memoryMb = 1536 } = options;
  // Emulated processors that share a real one wait for each other's locks: with two each, two machines on
  // two cores needed twice the time to boot.
  const processors = Math.max(1, Math.floor(navigator.hardwareConcurrency / options.count));
  const started = await Promise.allSettled(
    Array.from({ length: options.count }, (_, i) =>
      VirtualMachine.create({
        name: `vm${i + 1}`,
        image,
        network,
        index: i + 1,
        share,
        memoryMb,
        processors,
      })),
  );
  const machines: VirtualMachine[] = [];
  for (const result of started) {
    if (result.status === "fulfilled") {
      machines.push(result.value);
      stack.defer(() => result.value.remove());
    }
  }
  for (const result of started) if (result.status === "rejected") throw result.reason;
  await use({ network, machines });
}
