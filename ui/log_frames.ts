/** One line of a task's output. */
export interface LogLine {
  readonly key: number;
  readonly stream: "stdout" | "stderr" | "system";
  /** As the engine wrote it; empty for the agent's own words. */
  readonly time: string;
  readonly task: string;
  readonly node: string;
  readonly text: string;
}

const HEAD_BYTES = 8;
/** More of one line than this is cut: no eye reads a megabyte. */
export const MAX_SHOWN = 4_096;
/** A frame that claims to be longer is none. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const STREAMS = ["stdout", "stdout", "stderr", "system"] as const;
const decoder = new TextDecoder();

/** The lines of an answer: in frames, or without them where they are a terminal's. */
export async function* readLogLines(response: Response): AsyncGenerator<LogLine[]> {
  if (!response.body) return;
  const framed = response.headers.get("content-type")?.includes("multiplexed");
  yield* framed ? framedLines(response.body) : plainLines(response.body);
}

async function* plainLines(body: ReadableStream<Uint8Array>): AsyncGenerator<LogLine[]> {
  let rest = "";
  let key = 0;
  const line = (text: string) => lineOf(key++, "stdout", text);
  const text = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>);
  const reader = text.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      if (rest.length > MAX_FRAME_BYTES) throw new Error("the log cannot be read");
      if (lines.length > 0) yield lines.map(line);
    }
    if (rest !== "") yield [line(rest)];
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The frames of Docker's multiplexed stream: a byte of stream, three of zero, four of length, the bytes. */
async function* framedLines(body: ReadableStream<Uint8Array>): AsyncGenerator<LogLine[]> {
  let rest = new Uint8Array(0);
  let key = 0;
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const bytes = new Uint8Array(rest.length + value.length);
      bytes.set(rest);
      bytes.set(value, rest.length);
      const view = new DataView(bytes.buffer);
      const lines: LogLine[] = [];
      let at = 0;
      while (bytes.length - at >= HEAD_BYTES) {
        const length = view.getUint32(at + 4);
        if (length > MAX_FRAME_BYTES) throw new Error("the log cannot be read");
        if (bytes.length - at - HEAD_BYTES < length) break;
        const stream = STREAMS[bytes[at]!] ?? "stdout";
        const content = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
        at += HEAD_BYTES + length;
        lines.push(lineOf(key++, stream, decoder.decode(content)));
      }
      rest = bytes.slice(at);
      if (lines.length > 0) yield lines;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** `TIME key=value,… text`, as `timestamps=1&details=1` asks for it. */
function lineOf(key: number, stream: LogLine["stream"], raw: string): LogLine {
  const text = raw.replace(/\r?\n?$/, "");
  const [, time, details, rest] = /^(\d{4}-\S+Z) (\S*com\.docker\.swarm\S*) ?(.*)$/s.exec(text) ??
    [];
  if (time === undefined) return { key, stream, time: "", task: "", node: "", text: cut(text) };
  const values = new Map(
    details!.split(",").map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))] as const;
    }),
  );
  return {
    key,
    stream,
    time,
    task: values.get("com.docker.swarm.task.id") ?? "",
    node: values.get("com.docker.swarm.node.id") ?? "",
    text: cut(rest!),
  };
}

function cut(text: string): string {
  return text.length <= MAX_SHOWN
    ? text
    : `${text.slice(0, MAX_SHOWN)} … (${text.length} characters)`;
}
