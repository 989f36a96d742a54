/** How far two versions (`MAJOR.MINOR.PATCH`, more after a `-` or `+`) are apart. */
export function compareVersions(
  a: string,
  b: string,
): { readonly sameMajor: boolean; readonly minors: number } {
  const [majorA = 0, minorA = 0] = numbers(a);
  const [majorB = 0, minorB = 0] = numbers(b);
  return { sameMajor: majorA === majorB, minors: Math.abs(minorA - minorB) };
}

function numbers(version: string): number[] {
  return (version.split(/[-+]/, 1)[0] ?? "").split(".").map((part) => Number(part) || 0);
}
