import { kindOf } from "../../base/errors.ts";

/**
 * Calls `act` with `items` in order, `max` at a time. A part that is refused as too large for one log
 * entry goes in halves; one item alone is not divided. @throws what `act` throws otherwise
 */
export async function inParts<T>(
  items: readonly T[],
  max: number,
  act: (part: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += max) await inHalves(items.slice(i, i + max), act);
}

async function inHalves<T>(
  part: readonly T[],
  act: (part: readonly T[]) => Promise<unknown>,
): Promise<void> {
  try {
    await act(part);
  } catch (error) {
    if (kindOf(error) !== "invalid" || part.length === 1) throw error;
    const half = Math.ceil(part.length / 2);
    await inHalves(part.slice(0, half), act);
    await inHalves(part.slice(half), act);
  }
}
