import type { CliEnvironment } from "./environment.ts";

/** The registry of images without one, and the name under which Docker keeps its login. */
const HUB = "docker.io";
const HUB_LOGIN = "https://index.docker.io/v1/";

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { auth?: string; identitytoken?: string }>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

/**
 * The X-Registry-Auth header for `image`, from the login that `docker login` left in the user's Docker
 * configuration; an empty login when there is none.
 */
export async function registryAuth(env: CliEnvironment, image: string): Promise<string> {
  const registry = registryOf(image);
  const key = registry === HUB ? HUB_LOGIN : registry;
  const config = await readConfig(env);
  const helper = config.credHelpers?.[registry] ?? config.credsStore;
  const login = (helper && await fromHelper(env, helper, key)) || fromFile(config, key);
  return base64Url(JSON.stringify({ ...login, serveraddress: key }));
}

/** The host in front of an image's path; without one it is Docker Hub. */
export function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return isHost ? first : HUB;
}

async function readConfig(env: CliEnvironment): Promise<DockerConfig> {
  const home = env.variable("HOME") ?? "";
  const folder = env.variable("DOCKER_CONFIG") ?? `${home}/.docker`;
  try {
    const text = new TextDecoder().decode(await env.readFile(`${folder}/config.json`));
    return JSON.parse(text) as DockerConfig;
  } catch {
    // No file, or one that is not ours to judge: without a login public images still work.
    return {};
  }
}

async function fromHelper(env: CliEnvironment, helper: string, key: string) {
  const answer = await env.runHelper(`docker-credential-${helper}`, ["get"], key);
  if (answer === undefined) return undefined;
  try {
    const { Username, Secret } = JSON.parse(answer) as { Username?: string; Secret?: string };
    // Helpers mark tokens by this name.
    return Username === "<token>"
      ? { identitytoken: Secret }
      : { username: Username, password: Secret };
  } catch {
    return undefined;
  }
}

function fromFile(config: DockerConfig, key: string): Record<string, string> {
  const entry = config.auths?.[key] ?? config.auths?.[`https://${key}`];
  if (entry?.identitytoken) return { identitytoken: entry.identitytoken };
  if (!entry?.auth) return {};
  const text = new TextDecoder().decode(
    Uint8Array.from(atob(entry.auth), (character) => character.charCodeAt(0)),
  );
  const at = text.indexOf(":");
  return { username: text.slice(0, at), password: text.slice(at + 1) };
}

function base64Url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_");
}
