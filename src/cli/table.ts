/** Left-aligned columns, two spaces apart, a line a row. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map(row => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map(row => row[column]?.length ?? 0)),
  );
  return rows
    .map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map(line => `${line.trimEnd()}\n`)
    .join("");
}
