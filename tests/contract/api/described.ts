import { parse } from "yaml";
import { shapesOf } from "./shapes.ts";
import type { Shape, Shapes } from "./shapes.ts";

const IN_TREE = new URL("docker.json", import.meta.url);
/** Docker's own description stands beside the repository where it is there at all. */
const DESCRIPTION = new URL("../../../../shared/reference/docker-engine-api.yaml", import.meta.url);

/** The structure of Docker's API as it is kept here. */
export function apiShapes(): Shapes {
  return JSON.parse(Deno.readTextFileSync(IN_TREE)) as Shapes;
}

/** The same from Docker's description itself; undefined where there is none. */
export function describedShapes(): Shapes | undefined {
  try {
    return shapesOf(parse(Deno.readTextFileSync(DESCRIPTION)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Keeps what the description says, to be read over like code. */
export async function keepShapes(shapes: Shapes): Promise<void> {
  await Deno.writeTextFile(IN_TREE, JSON.stringify(shapes));
  const format = new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", IN_TREE.pathname] });
  const { success } = await format.output();
  if (!success) throw new Error(`cannot format ${IN_TREE.pathname}`);
}

/** What an answer of that status to that request has to look like; undefined for statuses that are not described. */
export function answerShape(
  shapes: Shapes,
  endpoint: string,
  status: number,
): Shape | null | undefined {
  return shapes.endpoints[endpoint]?.answers[String(status)];
}

/** What fleet's answers have beyond Docker's description, or otherwise than it says, each with its reason. */
const INTENDED: readonly (readonly [fault: RegExp, reason: string])[] = [
  [/\.Certificate(Expiry|DaysLeft) is extra$/, "fleet shows when each node's certificate ends"],
  [/ContainerSpec\.Healthcheck is extra$/, "described as HealthCheck; Docker writes Healthcheck"],
  [/^answer(\[\])?\.PreviousSpec is extra$/, "shown by Docker, not described"],
  [/\.NetworksAttachments\[\]\.Network\.\w+ is extra$/, "Docker shows all of the network"],
  [/^answer(\[\])?\.(GenericResources|Volumes) is extra$/, "a task's: shown, not described"],
  [/^answer(\[\])?\.Containers is extra$/, "described for networks of one node only"],
  [/^answer\.Services is extra$/, "a network's with verbose=true: shown by Docker, not described"],
  [/^answer\.ID is extra$/, "what is created: described as Id, written as ID"],
  [/\.Source is extra$/, "a published port's: fleet's own way to show clients' addresses"],
];

/** Faults that are not intended. */
export function unintended(faults: readonly string[]): string[] {
  return [...new Set(faults.filter((fault) => !INTENDED.some(([pattern]) => pattern.test(fault))))];
}
