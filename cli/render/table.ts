/** Docker's tables: cells at least this wide, this far apart; the last column is not padded. */
const MIN_WIDTH = 10;
const PADDING = 3;

/** Lays rows out in columns as Go's tabwriter does for Docker's client; every line ends with a newline. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? MIN_WIDTH, widthOf(cell) + PADDING);
    }
  }
  return rows.map((row) =>
    row.map((cell, column) =>
      column === row.length - 1
        ? cell
        : cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)))
    ).join("") + "\n"
  ).join("");
}

/** Characters, not UTF-16 units: how Go counts, too. */
function widthOf(text: string): number {
  let width = 0;
  for (const _ of text) width++;
  return width;
}
