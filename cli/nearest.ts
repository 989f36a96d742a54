/** More than so many letters that differ are another word. */
const MAX_DISTANCE = 2;
/** Longer words are not compared: the work grows by their product. */
const MAX_LENGTH = 64;

/** What a sentence about `word`, which is no name, ends with: the name that was meant, or where they all are. */
export function orDidYouMean(word: string, names: readonly string[], list: string): string {
  const found = nearest(word, names);
  return found === undefined ? `; see "${list}"` : `; did you mean ${found}?`;
}

/** The first name that differs in the fewest letters, and in fewer than half of them. */
function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = MAX_DISTANCE + 1;
  for (const name of names) {
    const distance = distanceOf(word, name);
    if (distance < least && distance * 2 < Math.max(word.length, name.length)) {
      best = name;
      least = distance;
    }
  }
  return best;
}

/** Letters to insert, remove, change or swap with their neighbours (optimal string alignment). */
function distanceOf(a: string, b: string): number {
  if (Math.max(a.length, b.length) > MAX_LENGTH || Math.abs(a.length - b.length) > MAX_DISTANCE) {
    return Infinity;
  }
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        rows[i - 1]![j]! + 1,
        row[j - 1]! + 1,
        rows[i - 1]![j - 1]! + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      }
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
