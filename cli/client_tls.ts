import { FleetError, messageOf } from "../src/base/errors.ts";
import type { ClientTls } from "./client.ts";
import type { CliEnvironment } from "./environment.ts";

const FILES = { ca: "ca.pem", cert: "cert.pem", key: "key.pem" } as const;

/**
 * The certificate for an agent on TCP: `ca.pem`, `cert.pem` and `key.pem` in the folder FLEET_CERT_PATH, or
 * DOCKER_CERT_PATH as Docker's client has it. Nothing for an agent on a socket.
 * @throws FleetError invalid when a file cannot be read, or there is no folder
 */
export async function clientTls(
  host: string | undefined,
  env: CliEnvironment,
  certPath?: string,
): Promise<(() => ClientTls) | undefined> {
  if (!/^(tcp|https):/.test(host ?? "")) return undefined;
  const folder = certPath || env.variable("FLEET_CERT_PATH") || env.variable("DOCKER_CERT_PATH");
  if (!folder) {
    throw new FleetError(
      "invalid",
      `${host} needs TLS: set FLEET_CERT_PATH to a folder with ca.pem, cert.pem and key.pem`,
    );
  }
  const read = async (name: string) => {
    try {
      return new TextDecoder().decode(await env.readFile(`${folder}/${name}`));
    } catch (error) {
      throw new FleetError("invalid", `cannot read ${folder}/${name}: ${messageOf(error)}`);
    }
  };
  const tls = {
    ca: await read(FILES.ca),
    cert: await read(FILES.cert),
    key: await read(FILES.key),
  };
  return () => tls;
}
