/** Width of PEM's lines (RFC 7468). */
const LINE = 64;

/**
 * The blocks of a PEM text, written the one way: what stands around them, line ends and widths go. Two
 * texts of the same certificate become equal, and a digest over the text means something.
 */
export function normalizePem(text: string): string {
  let out = "";
  for (
    const [, label, body] of text.matchAll(
      /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g,
    )
  ) {
    const base64 = body!.replace(/\s+/g, "");
    const lines = base64.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
    out += `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
  }
  return out;
}
