const TIMEOUT_MS = 2_000;

/** Opens a connection and closes it again. */
export async function probePort(
  hostname: string,
  port: number,
  signal: AbortSignal,
): Promise<"open" | "refused" | "silent" | "unreachable"> {
  const { promise: given, resolve: giveUp } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => giveUp(undefined), TIMEOUT_MS);
  const stop = () => giveUp(undefined);
  signal.addEventListener("abort", stop, { once: true });
  const attempt = Deno.connect({ hostname, port });
  // One that comes too late is closed as well.
  attempt.then((connection) => connection.close(), () => {});
  try {
    return await Promise.race([attempt, given]) === undefined ? "silent" : "open";
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return "refused";
    return error instanceof Deno.errors.TimedOut ? "silent" : "unreachable";
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
  }
}
