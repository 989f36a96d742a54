/** How often a wait that goes on says so. */
const STILL_EVERY_MS = 30_000;

/**
 * Says how long something took; while it lasts, every 30 s that it still does. Emulated machines are slow, and
 * whoever watches shall know at what. A failure names it.
 */
export async function waiting<T>(what: string, run: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const timer = setInterval(() => console.log(`    still: ${what} (${seconds()})`), STILL_EVERY_MS);
  try {
    const result = await run();
    console.log(`    ${what}: ${seconds()}`);
    return result;
  } catch (error) {
    throw new Error(`${what}: failed after ${seconds()}`, { cause: error });
  } finally {
    clearInterval(timer);
  }
}
