/**
 * Where standard base64 with padding stops being so: the place of the first character that cannot be, as Go's
 * decoder counts; undefined when all of it is right. Line ends may be anywhere (RFC 2045), as in Go.
 */
export function base64Fault(text: string): number | undefined {
  const afterLineEnds = (from: number): number => {
    let at = from;
    while (text[at] === "\n" || text[at] === "\r") at++;
    return at;
  };
  let inGroup = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\n" || char === "\r") continue;
    if (/[A-Za-z0-9+/]/.test(char)) {
      inGroup = (inGroup + 1) % 4;
      continue;
    }
    if (char !== "=" || inGroup < 2) return at;
    let next = afterLineEnds(at + 1);
    if (inGroup === 2) {
      if (next >= text.length) return text.length;
      if (text[next] !== "=") return next - 1;
      next = afterLineEnds(next + 1);
    }
    return next < text.length ? next : undefined;
  }
  return inGroup === 0 ? undefined : text.length - inGroup;
}
