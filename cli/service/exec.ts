import { close, writeAll } from "../../src/base/duplex.ts";
import type { Duplex } from "../../src/base/duplex.ts";
import { FleetError } from "../../src/base/errors.ts";
import type { ApiClient } from "../client.ts";
import type { Conversation } from "../conversation.ts";
import type { CliEnvironment } from "../environment.ts";
import { segment } from "../query.ts";
import { readLogFrames } from "../render/log_frames.ts";
import type { Verb } from "../verb.ts";
import { chooseTask } from "./task_choice.ts";

interface Flags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
}

/** Read from the connection at a time. */
const READ_BYTES = 64 * 1024;
/** Docker's client tries as often. */
const RESIZE_ATTEMPTS = 5;
const RESIZE_WAIT_MS = 10;
/** Together two seconds: only a connection that broke leaves a command that goes on. */
const EXIT_LOOKS = 20;
const EXIT_WAIT_MS = 100;

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] SERVICE|TASK [--] COMMAND [ARG...]").endFlagsAfterFirstArgument()
      .argument("<service>", "web, slot web.2, node web.HOSTNAME, or a task's id or name")
      .argument("[command...]", "Command and its arguments")
      .flag("-i, --interactive", "Pass standard input on")
      .flag("-t, --tty", "Give the command a terminal")
      .list("-e, --env <variable>", "Set a variable (NAME=value)")
      .value("-u, --user <user>", "Run as this user or UID (format: <name|uid>[:<group|gid>])")
      .value("-w, --workdir <folder>", "Folder in the container to run in")
      .examples("fleet exec web.2 -- cat /etc/hosts", "fleet exec -it web sh");
  },
  /** Resolves to the command's own exit code. */
  async run({ client, env }, [reference = "", ...words], flags) {
    const command = words[0] === "--" ? words.slice(1) : words;
    if (command.length === 0) throw new FleetError("invalid", "name the command to run");
    const tty = flags.tty === true;
    const input = flags.interactive === true;
    if (tty && input && !env.stdin.isTTY) {
      throw new FleetError("invalid", "standard input is no terminal: leave -t out");
    }
    const size = tty ? env.stdout.size() : undefined;
    const consoleSize = size ? { ConsoleSize: [size.rows, size.columns] } : {};
    const { container } = await chooseTask(client, reference);
    const { Id } = await client.post<{ Id: string }>(`/containers/${segment(container)}/exec`, {
      body: {
        Cmd: command,
        Tty: tty,
        AttachStdin: input,
        AttachStdout: true,
        AttachStderr: true,
        ...consoleSize,
        ...(flags.env ? { Env: flags.env } : {}),
        ...(flags.user === undefined ? {} : { User: flags.user }),
        ...(flags.workdir === undefined ? {} : { WorkingDir: flags.workdir }),
      },
    });
    const path = `/exec/${segment(Id)}`;
    const conversation = await client.converse(`${path}/start`, {
      Detach: false,
      Tty: tty,
      ...consoleSize,
    });
    const restore = tty ? terminal(client, env, path, input) : undefined;
    try {
      if (input) void passInput(env, conversation.connection);
      await passOutput(env, conversation, tty);
    } finally {
      await restore?.();
      close(conversation.connection);
    }
    return await exitCode(client, env, path, reference);
  },
};

/** The streams may end a moment before the engine has heard of the command's end. */
async function exitCode(
  client: ApiClient,
  env: CliEnvironment,
  path: string,
  reference: string,
): Promise<number> {
  for (let look = 1; look <= EXIT_LOOKS; look++) {
    const { ExitCode, Running } = await client.get<
      { ExitCode?: number | null; Running?: boolean }
    >(`${path}/json`);
    if (!Running && typeof ExitCode === "number") return ExitCode;
    await env.sleep(EXIT_WAIT_MS);
  }
  throw new FleetError("unavailable", `the connection to ${reference} ended before the command`);
}

/** The command's terminal has this one's size, and this one hands its keys over until it is restored. */
function terminal(
  client: ApiClient,
  env: CliEnvironment,
  path: string,
  input: boolean,
): () => Promise<void> {
  const resize = async () => {
    const size = env.stdout.size();
    if (!size) return;
    for (let attempt = 1; attempt <= RESIZE_ATTEMPTS; attempt++) {
      try {
        await client.post(`${path}/resize`, { query: { h: size.rows, w: size.columns } });
        return;
      } catch {
        // Engines promise a command before it runs. When it has ended already, nothing is lost.
        await env.sleep(RESIZE_WAIT_MS * attempt);
      }
    }
  };
  const stop = env.onResize(() => void resize());
  const resized = resize();
  if (input) env.stdin.setRaw(true);
  return async () => {
    stop();
    if (input) env.stdin.setRaw(false);
    await resized;
  };
}

/** Up to the end of input, which the command is told, or of the connection. */
async function passInput(env: CliEnvironment, connection: Duplex): Promise<void> {
  try {
    for await (const chunk of env.stdin.chunks()) await writeAll(connection, chunk);
    await connection.closeWrite();
  } catch {
    // The command ended first: nobody reads what is left.
  }
}

async function passOutput(env: CliEnvironment, conversation: Conversation, tty: boolean) {
  if (tty) {
    for await (const chunk of received(conversation)) env.stdout.writeBytes(chunk);
    return;
  }
  for await (const { stream, payload } of readLogFrames(received(conversation))) {
    (stream === "stdout" ? env.stdout : env.stderr).writeBytes(payload);
  }
}

async function* received({ connection, first }: Conversation): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  const buffer = new Uint8Array(READ_BYTES);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    yield buffer.slice(0, n);
  }
}
