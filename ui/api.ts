/** What the agent says of this session. */
export interface Session {
  readonly role: "operator" | "read-only";
  readonly user: string;
  readonly csrf: string;
  readonly expiresAt: number;
  readonly version: string;
}

/** A refusal, in the agent's sentence. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

let session: Session | undefined;

export function currentSession(): Session | undefined {
  return session;
}

export function isOperator(): boolean {
  return session?.role === "operator";
}

/** The session of this browser, if it has one; a link in the address makes one and is removed from there. */
export async function openSession(): Promise<Session | undefined> {
  const link = /^#link=([\w-]+)$/.exec(location.hash)?.[1];
  if (link !== undefined) {
    history.replaceState(null, "", "/");
    session = await send<Session>("POST", "/session", { link });
    return session;
  }
  try {
    session = await getJson<Session>("/session");
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 401)) throw error;
    session = undefined;
  }
  return session;
}

export async function closeSession(): Promise<void> {
  await send("DELETE", "/session");
  session = undefined;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await get(path, signal);
  return await response.json() as T;
}

/** The whole answer, for streams. @throws ApiFailure */
export async function get(path: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(path, { credentials: "same-origin", ...(signal ? { signal } : {}) });
  if (!response.ok) throw await failure(response);
  return response;
}

/** A change; carries what proves that this page asks for it. @throws ApiFailure */
export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    credentials: "same-origin",
    headers: {
      "content-type": "application/json",
      ...(session ? { "x-fleet-csrf": session.csrf } : {}),
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  if (!response.ok) throw await failure(response);
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

async function failure(response: Response): Promise<ApiFailure> {
  const text = await response.text().catch(() => "");
  try {
    const { message } = JSON.parse(text) as { message?: string };
    if (message) return new ApiFailure(response.status, message);
  } catch {
    // Not the agent's shape: the text has to do.
  }
  return new ApiFailure(response.status, text.slice(0, 300) || `status ${response.status}`);
}
