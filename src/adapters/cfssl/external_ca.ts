import { FleetError, messageOf } from "../../base/errors.ts";
import { unpemAll } from "../crypto/pem.ts";

/** One signing server as `--external-ca` names it. */
export interface ExternalCaSpec {
  readonly URL?: string;
  /** `profile` and `label` go into the request. */
  readonly Options?: Readonly<Record<string, string>>;
  readonly CACert?: string;
}

export interface SignRequest {
  readonly csrPem: string;
  readonly hosts: readonly string[];
  /** That of the request when it is left out. */
  readonly subject?: {
    readonly commonName: string;
    readonly organization: string;
    readonly organizationalUnit: string;
  };
  readonly profile?: string;
}

/** A CA that does not answer within this is passed over, as in SwarmKit. */
const TIMEOUT_MS = 5_000;
/** A certificate with its chain has some kilobytes; what is larger is no answer. */
const MAX_ANSWER_BYTES = 256 * 1024;

export interface ClientCredentials {
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * Asks CAs one after the other to sign, by the cfssl protocol (`POST …/api/v1/cfssl/sign`), showing this
 * node's certificate. Resolves to the certificate in PEM.
 * @throws FleetError unavailable, naming each CA and why it did not sign
 */
export async function signExternally(
  cas: readonly ExternalCaSpec[],
  trustPem: string,
  credentials: ClientCredentials,
  request: SignRequest,
): Promise<string> {
  const failures: string[] = [];
  for (const ca of cas) {
    try {
      return await post(ca, trustPem, credentials, request);
    } catch (error) {
      failures.push(`${ca.URL}: ${reasonOf(error)}`);
    }
  }
  throw new FleetError(
    "unavailable",
    `no external CA signs: ${failures.join("; ") || "none is set for this root"}`,
  );
}

/** @throws FleetError unavailable unless something answers HTTP over TLS there */
export async function probe(
  ca: ExternalCaSpec,
  trustPem: string,
  credentials: ClientCredentials,
): Promise<void> {
  try {
    await call(
      ca,
      trustPem,
      credentials,
      { method: "HEAD" },
      (response) => response.body?.cancel(),
    );
  } catch (error) {
    throw new FleetError(
      "unavailable",
      `the external CA at ${ca.URL} cannot be reached: ${reasonOf(error)}`,
    );
  }
}

async function post(
  ca: ExternalCaSpec,
  trustPem: string,
  credentials: ClientCredentials,
  { csrPem, hosts, subject, profile }: SignRequest,
): Promise<string> {
  const { profile: configured, label } = ca.Options ?? {};
  const body = JSON.stringify({
    certificate_request: csrPem,
    hosts,
    subject: subject && {
      CN: subject.commonName,
      names: [{ O: subject.organization, OU: subject.organizationalUnit }],
    },
    profile: profile ?? configured,
    label,
  });
  const init = { method: "POST", body, headers: { "content-type": "application/json" } };
  return await call(ca, trustPem, credentials, init, async (response) => {
    const text = await boundedText(response);
    const answer = parsed(text);
    if (response.status !== 200 || answer?.success !== true) {
      const reason = answer?.errors?.map(({ message }) => message).join(", ");
      throw new Error(`it answers ${response.status}${reason ? `: ${reason}` : ""}`);
    }
    const certificate = answer.result?.certificate;
    if (typeof certificate !== "string" || unpemAll("CERTIFICATE", certificate).length === 0) {
      throw new Error("its answer holds no certificate");
    }
    return certificate.endsWith("\n") ? certificate : certificate + "\n";
  });
}

async function call<T>(
  { URL: url }: ExternalCaSpec,
  trustPem: string,
  { certPem, keyPem }: ClientCredentials,
  init: RequestInit,
  read: (response: Response) => T | Promise<T>,
): Promise<T> {
  if (!url?.startsWith("https://")) throw new Error("its URL must begin with https://");
  const client = Deno.createHttpClient({
    caCerts: [trustPem],
    cert: certPem,
    key: keyPem,
    // One call now and then: a kept connection would only outlive the certificate.
    poolMaxIdlePerHost: 0,
  });
  try {
    const options: RequestInit & { client: Deno.HttpClient } = {
      ...init,
      client,
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    };
    return await read(await fetch(url, options));
  } finally {
    client.close();
  }
}

/** What `fetch` itself says is only that it failed. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause ?? error);
}

async function boundedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`its answer is longer than ${MAX_ANSWER_BYTES}`);
    parts.push(part);
  }
  return await new Blob(parts as BlobPart[]).text();
}

interface Answer {
  readonly success?: boolean;
  readonly result?: { readonly certificate?: unknown } | null;
  readonly errors?: readonly { readonly message?: string }[] | null;
}

function parsed(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}
