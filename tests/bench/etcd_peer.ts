import { until } from "../../src/adapters/lab_hosts/process.ts";

const PORTS = [23790, 23791, 23792];

/** Three members of Debian's etcd on loopback, as the peer to measure beside. */
export class EtcdPeer {
  readonly url = `http://127.0.0.1:${PORTS[0]}`;
  readonly #folder: string;
  readonly #members: Deno.ChildProcess[];

  private constructor(folder: string, members: Deno.ChildProcess[]) {
    this.#folder = folder;
    this.#members = members;
  }

  static async start(): Promise<EtcdPeer> {
    const folder = await Deno.makeTempDir();
    const peers = PORTS.map((port, i) => `m${i}=http://127.0.0.1:${port + 100}`).join(",");
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
          ...[
            "--listen-peer-urls",
            `http://127.0.0.1:${port + 100}`,
            "--initial-advertise-peer-urls",
            `http://127.0.0.1:${port + 100}`,
          ],
          ...["--initial-cluster", peers, "--initial-cluster-state", "new"],
        ],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn()
    );
    const peer = new EtcdPeer(folder, members);
    await until("etcd", async () => {
      try {
        const response = await fetch(`${peer.url}/health`);
        return (await response.text()).includes("true");
      } catch {
        return false;
      }
    });
    return peer;
  }

  async stop(): Promise<void> {
    for (const member of this.#members) member.kill("SIGKILL");
    await Promise.all(this.#members.map((member) => member.status));
    await Deno.remove(this.#folder, { recursive: true });
  }
}
