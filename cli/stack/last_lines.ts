import type { ApiTask } from "../api_types.ts";
import { readLogFrames } from "../render/log_frames.ts";
import { segment } from "../query.ts";
import type { VerbContext } from "../verb.ts";

/** A node that cannot be reached does not hold the answer up for longer. */
const TIMEOUT_MS = 5_000;

/** The last lines that a task wrote, both streams. */
export async function lastLogLines(
  { client }: Pick<VerbContext, "client">,
  task: Pick<ApiTask, "ID" | "Spec">,
  count: number,
): Promise<string[]> {
  const response = await client.request("GET", `/tasks/${segment(task.ID)}/logs`, {
    query: { stdout: true, stderr: true, tail: count },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (task.Spec.ContainerSpec?.TTY) {
    // A terminal's log has no frames, and its lines end as terminals want it.
    const text = (await response.text()).replace(/\r?\n$/, "");
    return text === "" ? [] : text.split(/\r?\n/).slice(-count);
  }
  const lines: string[] = [];
  const decoder = new TextDecoder();
  if (response.body) {
    for await (const frame of readLogFrames(response.body)) {
      lines.push(...decoder.decode(frame.payload).replace(/\n$/, "").split("\n"));
    }
  }
  return lines.slice(-count);
}
