import type { LabHost } from "../../../src/adapters/lab_hosts/host.ts";
import { must } from "../../../src/adapters/lab_hosts/process.ts";
import { until } from "../../support/until.ts";

const PORT = 5000;
const USER = "reader";
const PASSWORD = "only-in-this-lab";

/** The settings under which engines of a lab use its registry without TLS. */
export const REGISTRY_SETTINGS = { "insecure-registries": ["10.0.0.0/8"] };

/** A real registry on a host, which asks everybody for a password. It ends with the host. */
export class LabRegistry {
  /** `address:port`, in front of image names. */
  readonly address: string;
  /** A client configuration with the login; `docker --config`. */
  readonly login: string;
  readonly #host: LabHost;

  private constructor(host: LabHost, folder: string) {
    this.#host = host;
    this.address = `${host.address}:${PORT}`;
    this.login = `${folder}/login`;
  }

  static async start(host: LabHost): Promise<LabRegistry> {
    const folder = `${host.layout.folder}/registry`;
    await Deno.mkdir(folder, { recursive: true });
    const registry = new LabRegistry(host, folder);
    const passwords = await must(["htpasswd", "-nbB", USER, PASSWORD]);
    await Deno.writeTextFile(`${folder}/passwords`, passwords);
    const config = {
      version: 0.1,
      log: { level: "warn" },
      storage: { filesystem: { rootdirectory: `${folder}/data` } },
      http: { addr: `:${PORT}` },
      auth: { htpasswd: { realm: "lab", path: `${folder}/passwords` } },
    };
    await Deno.writeTextFile(`${folder}/config.yml`, JSON.stringify(config));
    const start = 'exec docker-registry serve "$0/config.yml" </dev/null >"$0/log" 2>&1';
    await host.exec(["setsid", "-f", "/bin/sh", "-c", start, folder]);
    await until("the registry's login", async () => {
      const flags = ["--username", USER, "--password-stdin", registry.address];
      const argv = ["--config", registry.login, "login", ...flags];
      return (await host.docker(argv, { stdin: PASSWORD })).code === 0;
    });
    return registry;
  }

  /** Pushes busybox under a name, with a label that tells one content from another; its digest. */
  async push(name: string, content: string): Promise<string> {
    const image = `${this.address}/${name}`;
    const file = `FROM busybox:latest\nLABEL content=${content}\n`;
    await this.#docker(["build", "-q", "-t", image, "-"], file);
    await this.#docker(["push", "-q", image]);
    const digests = await this.#docker(["image", "inspect", "-f", "{{json .RepoDigests}}", image]);
    const found = (JSON.parse(digests) as string[]).find((digest) =>
      digest.startsWith(this.address)
    );
    return found?.split("@")[1] ?? "";
  }

  async #docker(args: readonly string[], stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.#host.docker(
      ["--config", this.login, ...args],
      { env: { DOCKER_BUILDKIT: "0" }, ...(stdin === undefined ? {} : { stdin }) },
    );
    if (code !== 0) throw new Error(`docker ${args[0]}: ${stderr}`);
    return stdout.trim();
  }
}
