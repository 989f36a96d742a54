import { readLogFrames } from "../render/log_frames.ts";
import { segment } from "../query.ts";
import type { VerbContext } from "../verb.ts";

/** A node that cannot be reached does not hold the answer up for longer. */
const TIMEOUT_MS = 5_000;

/** The last lines that a task wrote, both streams. */
export async function lastLogLines(
  { client }: VerbContext,
  taskId: string,
  count: number,
): Promise<string[]> {
  const response = await client.request("GET", `/tasks/${segment(taskId)}/logs`, {
    query: { stdout: true, stderr: true, tail: count },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const lines: string[] = [];
  const decoder = new TextDecoder();
  if (response.body) {
    for await (const frame of readLogFrames(response.body)) {
      lines.push(...decoder.decode(frame.payload).replace(/\n$/, "").split("\n"));
    }
  }
  return lines.slice(-count);
}
