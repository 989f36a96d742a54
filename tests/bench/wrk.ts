/** What one run of `wrk --latency` tells. */
export interface Measured {
  /** Requests per second. */
  readonly rate: number;
  /** In ms. */
  readonly p99: number;
}

/** Reads what `wrk --latency` prints. @throws Error with all of it when that is no result */
export function parseWrk(stdout: string, stderr: string): Measured {
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  if (!rate || !p99) throw new Error(`wrk: ${stdout}${stderr}`);
  return { rate: Number(rate), p99: Number(p99) * ({ us: 0.001, ms: 1, s: 1000 }[unit!] ?? 1) };
}
