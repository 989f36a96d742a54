import type { OutputStream } from "../environment.ts";
import type { ProgressLine } from "./progress_state.ts";

/** Bars are this wide where there is room, as Docker's. */
const BAR_WIDTH = 50;
/** Below this width a bar says nothing. */
const MIN_BAR_WIDTH = 10;

/** Shows the lines of a progress as it changes. */
export interface ProgressDisplay {
  show(lines: readonly ProgressLine[]): void;
}

/** Bars that are redrawn in place on a terminal, changed lines without bars elsewhere. */
export function progressDisplay(output: OutputStream): ProgressDisplay {
  return output.isTTY ? terminalDisplay(output) : plainDisplay(output);
}

function terminalDisplay(output: OutputStream): ProgressDisplay {
  let shown: string[] = [];
  return {
    show(lines) {
      const columns = output.columns();
      const next = lines.map((line) => lineText(line, columns));
      let text = shown.length > 0 ? `\x1b[${shown.length}A` : "";
      for (const [index, line] of next.entries()) {
        text += line === shown[index] ? "\n" : `\r\x1b[2K${line}\n`;
      }
      if (next.some((line, index) => line !== shown[index])) output.write(text);
      shown = next;
    },
  };
}

function plainDisplay(output: OutputStream): ProgressDisplay {
  const printed = new Map<string, string>();
  return {
    show(lines) {
      for (const line of lines) {
        // Bars are for terminals; a bare id says nothing.
        if (line.step !== undefined && line.id !== "job progress") continue;
        const text = line.id === "job complete" ? line.id : `${line.id}: ${line.text}`;
        if (line.text === "" && line.id !== "job complete") continue;
        if (printed.get(line.id) === text) continue;
        printed.set(line.id, text);
        output.write(`${text}\n`);
      }
    },
  };
}

/** One line as it stands on a terminal of `columns`: never longer, or redrawing would break. */
export function lineText(line: ProgressLine, columns: number): string {
  const head = line.text === "" && line.id === "job complete"
    ? line.id
    : `${line.id}: ${line.text}`;
  const text = line.step === undefined ? head : `${head} ${bar(line, columns - head.length - 5)}`;
  return [...text].slice(0, Math.max(1, columns - 1)).join("");
}

function bar(line: ProgressLine, room: number): string {
  const width = Math.min(BAR_WIDTH, room);
  if (width < MIN_BAR_WIDTH) return "";
  const share = Math.min(1, Math.max(0, (line.step ?? 0) / (line.steps || 1)));
  const filled = Math.floor(share * 100 * width / 100);
  return `[${"=".repeat(filled)}>${" ".repeat(Math.max(0, width - filled))}] `;
}
