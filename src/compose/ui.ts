import { isLoopback, reachableUrl, serveHttp } from "../adapters/host/http_server.ts";
import { realClock, realRandom } from "../adapters/host/real_clock.ts";
import { createUi } from "../api/ui/app.ts";
import { UiSessions } from "../api/ui/sessions.ts";
import type { UiLinks } from "../api/routes/ui.ts";
import { FleetError, messageOf } from "../base/errors.ts";
import type { Backend } from "../api/backend.ts";
import { loadUiAssets } from "./ui_assets.ts";

export interface ServeUiOptions {
  readonly address: string;
  /** PEM files; without them only this machine can be served. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly backend: Backend;
  readonly api: (user: string) => (request: Request) => Promise<Response>;
}

export interface RunningUi {
  readonly url: string;
  readonly links: UiLinks;
  close(): Promise<void>;
}

/** @throws FleetError invalid, conflict, not-found, unimplemented (a build without the page) */
export async function serveUi(options: ServeUiOptions): Promise<RunningUi> {
  const { address, backend } = options;
  const tls = await readTls(options);
  if (!tls && !isLoopback(address)) {
    throw new FleetError(
      "invalid",
      `--ui-addr ${address}: other machines are served with a certificate only: give --ui-cert and --ui-key, or serve 127.0.0.1 and reach it with ssh -L`,
    );
  }
  const assets = await loadUiAssets();
  const sessions = new UiSessions(realClock, realRandom);
  const ui = createUi({
    backend,
    sessions,
    clock: realClock,
    random: realRandom,
    secure: tls !== undefined,
    asset: (path) => assets.get(path),
    api: options.api,
    upgrade: (request, { protocol }) => Deno.upgradeWebSocket(request, { protocol }),
  });
  const server = serveHttp({
    flag: "--ui-addr",
    address,
    ...(tls ? { tls } : {}),
    fetch: ui.fetch,
    onError: (error) => backend.log("warn", `the dashboard: ${messageOf(error)}`),
  });
  return {
    url: server.url,
    links: {
      // What follows the # never leaves the browser, so it is in no log and no Referer.
      create: (role, user) => {
        const url = reachableUrl(server.url, backend.localState().nodeAddr);
        return `${url}/#link=${sessions.createLink(role, user)}`;
      },
    },
    close: async () => {
      ui.close();
      await server.close();
    },
  };
}

async function readTls({ certFile, keyFile }: ServeUiOptions) {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new FleetError("invalid", "--ui-cert and --ui-key go together");
  }
  return {
    certPem: await readPem("--ui-cert", certFile),
    keyPem: await readPem("--ui-key", keyFile),
  };
}

async function readPem(flag: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new FleetError("invalid", `${flag} ${path}: ${messageOf(error)}`);
  }
}
