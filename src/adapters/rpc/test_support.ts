/** For the tests of this folder: certificates made by openssl, clocks, and loopback servers. */
import type { Clock } from "../../base/clock.ts";
import { type Logger, silentLogger } from "../../base/log.ts";
import { connectAnonymously, rpcDialer } from "./client.ts";
import type { Routes } from "./routes.ts";
import { listenRpc, type RpcServerOptions } from "./server.ts";
import type { CredentialsSource, RpcDialer, RpcListener, TlsCredentials } from "./types.ts";

export const CLUSTER = "cluster1";

/** Wall time and timers of the system. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const id = setTimeout(fn, ms);
    return () => clearTimeout(id);
  },
};

/** Time that passes only by {@link advance}. `now` starts at the real date, for certificates. */
export class ManualClock implements Clock {
  #elapsed = 0;
  readonly #start = Date.now();
  #timers: { at: number; fn: () => void }[] = [];
  now(): number {
    return this.#start + this.#elapsed;
  }
  monotonic(): number {
    return this.#elapsed;
  }
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#elapsed + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  }
  get pending(): number {
    return this.#timers.length;
  }
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#elapsed = next.at;
      next.fn();
    }
    this.#elapsed = end;
  }
}

/** Polls the event loop until `condition` holds. @throws after `deadlineMs` */
export async function eventually(
  what: string,
  condition: () => boolean,
  deadlineMs = 60_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A switchable source of credentials. */
export class FixedCredentials implements CredentialsSource {
  #listeners = new Set<() => void>();
  constructor(private credentials: TlsCredentials) {}
  current(): TlsCredentials {
    return this.credentials;
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  swap(credentials: TlsCredentials): void {
    this.credentials = credentials;
    for (const listener of this.#listeners) listener();
  }
}

export interface TestCa {
  readonly pem: string;
  readonly keyPem: string;
}

export interface CertificateWish {
  readonly cn: string;
  readonly ou: string;
  readonly o?: string;
  /** openssl's -not_after, such as `20200102000000Z`. */
  readonly expired?: boolean;
  /** An address beside the names. */
  readonly ip?: string;
}

async function openssl(dir: string, ...args: string[]): Promise<void> {
  const command = new Deno.Command("openssl", { args, cwd: dir, stderr: "piped", stdout: "null" });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

async function inTempDir<T>(run: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "rpc_test_" });
  try {
    return await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

export function makeCa(): Promise<TestCa> {
  return inTempDir(async (dir) => {
    await openssl(dir, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key");
    await openssl(
      dir,
      ...["req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", "/CN=swarm-ca"],
      ...["-addext", "basicConstraints=critical,CA:TRUE", "-out", "ca.pem"],
    );
    return {
      pem: await Deno.readTextFile(`${dir}/ca.pem`),
      keyPem: await Deno.readTextFile(`${dir}/ca.key`),
    };
  });
}

export function issue(ca: TestCa, wish: CertificateWish): Promise<TlsCredentials> {
  const { cn, ou, o = CLUSTER, expired = false, ip } = wish;
  return inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/ca.pem`, ca.pem);
    await Deno.writeTextFile(`${dir}/ca.key`, ca.keyPem);
    await Deno.writeTextFile(
      `${dir}/ext`,
      `subjectAltName=DNS:${ou},DNS:${cn}${
        ip ? `,IP:${ip}` : ""
      }\nextendedKeyUsage=serverAuth,clientAuth\n` +
        "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n",
    );
    await openssl(dir, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key");
    await openssl(
      dir,
      ...["req", "-new", "-key", "key", "-subj", `/O=${o}/OU=${ou}/CN=${cn}`, "-out", "csr"],
    );
    await openssl(
      dir,
      ...["x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-days", expired ? "-1" : "30", "-extfile", "ext", "-out", "cert"],
    );
    return {
      caPem: ca.pem,
      certPem: await Deno.readTextFile(`${dir}/cert`),
      keyPem: await Deno.readTextFile(`${dir}/key`),
    };
  });
}

let shared: Promise<{ ca: TestCa; manager: TlsCredentials; worker: TlsCredentials }> | undefined;

/** One CA with `mgr1` and `wrk1`, made once per test file. */
export function fixtures() {
  shared ??= (async () => {
    const ca = await makeCa();
    const [manager, worker] = await Promise.all([
      issue(ca, { cn: "mgr1", ou: "swarm-manager" }),
      issue(ca, { cn: "wrk1", ou: "swarm-worker" }),
    ]);
    return { ca, manager, worker };
  })();
  return shared;
}

export interface Lab extends AsyncDisposable {
  readonly listener: RpcListener;
  readonly address: string;
  readonly credentials: FixedCredentials;
  readonly log: string[];
  dialer(credentials: TlsCredentials): RpcDialer;
  anonymous(caPem?: string): ReturnType<typeof connectAnonymously>;
}

/** A manager on loopback with `routes`. */
export async function startLab(
  routes: Routes,
  options: Partial<RpcServerOptions> = {},
): Promise<Lab> {
  const { ca, manager } = await fixtures();
  const credentials = new FixedCredentials(manager);
  const log: string[] = [];
  const logger: Logger = {
    log: (level, message) => void log.push(`${level}: ${message}`),
    with: () => logger,
  };
  const listener = await listenRpc({
    address: "127.0.0.1:0",
    credentials,
    clusterId: CLUSTER,
    routes,
    clock: systemClock,
    logger,
    ...options,
  });
  return {
    listener,
    address: listener.address,
    credentials,
    log,
    dialer: (own) =>
      rpcDialer({
        credentials: new FixedCredentials(own),
        clusterId: CLUSTER,
        clock: systemClock,
      }),
    anonymous: (caPem = ca.pem) =>
      connectAnonymously(listener.address, { clock: systemClock, caPem }),
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

export { silentLogger };
