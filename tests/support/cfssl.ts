/** Debian's cfssl, the real one, as a signing server on a lab's host. */
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { until } from "./until.ts";

const PORT = 8888;

/** The default rules sign nodes, those named CA sign a CA. */
const RULES = {
  signing: {
    default: {
      expiry: "2160h",
      usages: ["signing", "key encipherment", "server auth", "client auth"],
    },
    profiles: {
      CA: {
        expiry: "87600h",
        usages: ["cert sign", "crl sign"],
        ca_constraint: { is_ca: true, max_path_len: 0, max_path_len_zero: true },
      },
    },
  },
};

export async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await capture(["openssl", ...args]);
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

/** A root of its own: `NAME.pem` and `NAME.key`. */
export async function makeRoot(folder: string, name: string): Promise<void> {
  await openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", `/CN=${name}`, "-days", "3650", "-keyout", `${folder}/${name}.key`],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", `${folder}/${name}.pem`],
  );
}

/**
 * Serves on `host` with the root `NAME`, which also vouches for the server itself. Clients need a certificate
 * from a root in `clientRoots` (PEM). It ends with the host. Resolves to the URL that signs.
 */
export async function startCfssl(
  host: LabHost,
  folder: string,
  name: string,
  clientRoots: string,
): Promise<string> {
  const file = (suffix: string) => `${folder}/${name}${suffix}`;
  await openssl(
    ...[
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      "/CN=cfssl",
    ],
    ...["-keyout", file("-tls.key"), "-out", file("-tls.csr")],
  );
  await Deno.writeTextFile(file("-tls.ext"), `subjectAltName=IP:${host.address}\n`);
  await openssl(
    ...["x509", "-req", "-in", file("-tls.csr"), "-CA", file(".pem"), "-CAkey", file(".key")],
    ...["-CAcreateserial", "-days", "30", "-extfile", file("-tls.ext"), "-out", file("-tls.pem")],
  );
  await Deno.writeTextFile(file(".json"), JSON.stringify(RULES));
  await Deno.writeTextFile(file("-clients.pem"), clientRoots);
  const argv = [
    ...["cfssl", "serve", "-address", host.address, "-port", String(PORT)],
    ...["-ca", file(".pem"), "-ca-key", file(".key"), "-config", file(".json")],
    ...["-tls-cert", file("-tls.pem"), "-tls-key", file("-tls.key")],
    ...["-mutual-tls-ca", file("-clients.pem")],
  ];
  await host.exec([
    "setsid",
    "-f",
    "sh",
    "-c",
    `exec "$@" </dev/null >${file(".log")} 2>&1`,
    "-",
    ...argv,
  ]);
  await until(
    "cfssl listens",
    async () => (await Deno.readTextFile(file(".log")).catch(() => "")).includes("Now listening"),
  );
  return `https://${host.address}:${PORT}/api/v1/cfssl/sign`;
}
