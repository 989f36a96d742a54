/** One line of a comparison: on both sides, only with Docker, only with fleet. */
export interface DiffLine {
  readonly side: "both" | "docker" | "fleet";
  readonly text: string;
}

/** What is alike and what is not, in order, with as many lines alike as can be. */
export function diffLines(docker: readonly string[], fleet: readonly string[]): DiffLine[] {
  const common = commonLengths(docker, fleet);
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < docker.length || j < fleet.length) {
    if (i < docker.length && j < fleet.length && docker[i] === fleet[j]) {
      lines.push({ side: "both", text: docker[i]! });
      i++;
      j++;
    } else if (i < docker.length && (common[i + 1]![j]! >= common[i]![j + 1]!)) {
      lines.push({ side: "docker", text: docker[i++]! });
    } else if (j < fleet.length) {
      lines.push({ side: "fleet", text: fleet[j++]! });
    } else {
      lines.push({ side: "docker", text: docker[i++]! });
    }
  }
  return lines;
}

/** Length of the longest common sequence of what follows each pair of positions. */
function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 2).fill(0));
  // One row more, so that the last line may be looked past.
  table.push(new Array<number>(b.length + 2).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i]![j] = a[i] === b[j]
        ? table[i + 1]![j + 1]! + 1
        : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
    }
  }
  return table;
}
