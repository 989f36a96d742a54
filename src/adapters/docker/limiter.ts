/** Runs work, but never more at once than its limit; a free place goes to whoever waits longest. */
export type Limited = <T>(run: () => Promise<T>) => Promise<T>;

export function limiter(limit: number): Limited {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async (run) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
