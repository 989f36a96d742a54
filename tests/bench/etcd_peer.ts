import { until } from "../../src/adapters/lab_hosts/process.ts";

const PORTS = [23790, 23791, 23792];

/** Three members of Debian's etcd on loopback, as the peer to measure beside. */
export class EtcdPeer {
  /** The leader's, so that no write is passed on. */
  url = `http://127.0.0.1:${PORTS[0]}`;
  readonly #folder: string;
  readonly #members: Deno.ChildProcess[];

  private constructor(folder: string, members: Deno.ChildProcess[]) {
    this.#folder = folder;
    this.#members = members;
  }

  /** `tls` is for what the members say to one another, as fleet's always is; clients speak HTTP. */
  static async start({ tls }: { readonly tls: boolean }): Promise<EtcdPeer> {
    const folder = await Deno.makeTempDir();
    const peerUrl = (port: number) => `http${tls ? "s" : ""}://127.0.0.1:${port + 100}`;
    const peers = PORTS.map((port, i) => `m${i}=${peerUrl(port)}`).join(",");
    const members = PORTS.map((port, i) =>
      new Deno.Command("etcd", {
        args: [
          ...["--name", `m${i}`, "--data-dir", `${folder}/m${i}`, "--log-level", "error"],
          ...[
            "--listen-client-urls",
            `http://127.0.0.1:${port}`,
            "--advertise-client-urls",
            `http://127.0.0.1:${port}`,
          ],
          ...["--listen-peer-urls", peerUrl(port)],
          ...["--initial-advertise-peer-urls", peerUrl(port)],
          ...(tls ? ["--peer-auto-tls"] : []),
          ...["--initial-cluster", peers, "--initial-cluster-state", "new"],
        ],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn()
    );
    const peer = new EtcdPeer(folder, members);
    await until("etcd", async () => {
      const leader = await leaderUrl().catch(() => undefined);
      if (leader) peer.url = leader;
      return leader !== undefined;
    });
    return peer;
  }

  async stop(): Promise<void> {
    for (const member of this.#members) member.kill("SIGKILL");
    await Promise.all(this.#members.map((member) => member.status));
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function leaderUrl(): Promise<string | undefined> {
  for (const port of PORTS) {
    const url = `http://127.0.0.1:${port}`;
    const response = await fetch(`${url}/v3/maintenance/status`, { method: "POST", body: "{}" });
    const { header, leader } = await response.json();
    if (leader && leader === header.member_id) return url;
  }
  return undefined;
}
