/** A signing server that speaks cfssl's protocol over mutual TLS, for tests; it can also misbehave. */
import { Buffer } from "node:buffer";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createPrivateKey } from "node:crypto";
import { parseCsr } from "../../src/adapters/crypto/certificate_request.ts";
import { context, sequence } from "../../src/adapters/crypto/der.ts";
import {
  ALTERNATIVE_NAMES,
  extension,
  nameIn,
  nameOf,
  parseCertificates,
  signCertificate,
  spkiOf,
} from "../../src/adapters/crypto/x509.ts";

/** As cfssl's API documentation has it. */
export interface CfsslRequest {
  readonly certificate_request: string;
  readonly hosts?: readonly string[];
  readonly subject?: { readonly CN?: string; readonly names?: readonly Record<string, string>[] };
  readonly profile?: string;
  readonly label?: string;
}

export interface CfsslServer extends AsyncDisposable {
  readonly url: string;
  /** What was asked, and by whom (common name of the client's certificate). */
  readonly asked: { readonly request: CfsslRequest; readonly client: string | undefined }[];
  /** Answers in its place when set: status and body. */
  answer: (() => { readonly status: number; readonly body: string }) | undefined;
}

const DAY_MS = 24 * 3_600_000;

/** Listens on a free port of 127.0.0.1; `tls` is the server's own certificate, `ca` signs. */
export async function startCfssl(options: {
  readonly ca: { readonly certPem: string; readonly keyPem: string };
  readonly tls: { readonly certPem: string; readonly keyPem: string };
  readonly clientCaPem: string;
}): Promise<CfsslServer> {
  const asked: CfsslServer["asked"] = [];
  const ca = parseCertificates(options.ca.certPem)[0]!;
  const server = createServer({
    cert: options.tls.certPem,
    key: options.tls.keyPem,
    ca: options.clientCaPem,
    requestCert: true,
    rejectUnauthorized: true,
  }, async (incoming, outgoing) => {
    const parts: Uint8Array[] = [];
    for await (const part of incoming) parts.push(part as Uint8Array);
    const say = (status: number, body: string) => outgoing.writeHead(status).end(body);
    if (incoming.method !== "POST" || incoming.url !== "/api/v1/cfssl/sign") {
      return say(405, JSON.stringify({ success: false, errors: [{ message: "no such call" }] }));
    }
    const request = JSON.parse(Buffer.concat(parts).toString()) as CfsslRequest;
    const socket = incoming.socket as unknown as {
      getPeerCertificate(): { subject?: { CN?: string } };
    };
    asked.push({ request, client: socket.getPeerCertificate().subject?.CN });
    if (result.answer) {
      const { status, body } = result.answer();
      return say(status, body);
    }
    const certificate = sign(request);
    say(200, JSON.stringify({ success: true, result: { certificate }, errors: [], messages: [] }));
  });
  const sign = ({ certificate_request, hosts = [], subject }: CfsslRequest) => {
    const names = Object.assign({}, ...subject?.names ?? []) as { O?: string; OU?: string };
    return signCertificate({
      subject: nameOf(
        ["organization", names.O ?? ""],
        ["organizationalUnit", names.OU ?? ""],
        ["commonName", subject?.CN ?? ""],
      ),
      issuer: nameIn(ca, "subject"),
      publicKeyDer: parseCsr(certificate_request),
      issuerKeyDer: spkiOf(ca),
      notBeforeMs: Date.now() - DAY_MS,
      notAfterMs: Date.now() + DAY_MS,
      extensions: [
        extension(
          ALTERNATIVE_NAMES,
          false,
          sequence(...hosts.map((host) => context(2, false, host))),
        ),
      ],
    }, createPrivateKey(options.ca.keyPem));
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const result: CfsslServer = {
    url: `https://localhost:${port}/api/v1/cfssl/sign`,
    asked,
    answer: undefined,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections?.();
      }),
  };
  return result;
}
