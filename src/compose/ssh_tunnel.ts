import type { SshLogin } from "../../cli/environment.ts";
import { FleetError } from "../base/errors.ts";
import { onInterrupt } from "./cli_environment.ts";

/** Logging in may need a hardware key and its owner. */
const CONNECT_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
const AGENT_SOCKET = "/run/fleet/fleet.sock";

/**
 * The socket of an agent on another machine as one on this machine, by OpenSSH's own forwarding: keys,
 * agents, jump hosts and known hosts are those of `ssh`. @throws FleetError unavailable with ssh's words
 */
export async function sshTunnel(
  destination: string,
  remote = AGENT_SOCKET,
): Promise<{ readonly socket: string; close(): void }> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-ssh-" });
  const socket = `${folder}/agent.sock`;
  const flags = ["-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"];
  const child = new Deno.Command("ssh", {
    args: ["-nNT", ...flags, "-L", `${socket}:${remote}`, ...target(destination)],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let ended = false;
  const status = child.status.then(() => void (ended = true));
  const close = () => {
    if (!ended) child.kill("SIGTERM");
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch {
      // Removed already.
    }
  };
  const deadline = Date.now() + CONNECT_TIMEOUT_MS;
  while (!await Deno.stat(socket).then(() => true, () => false)) {
    if (ended || Date.now() > deadline) {
      close();
      throw new FleetError("unavailable", `no SSH connection to ${destination}: see above`);
    }
    await Promise.race([status, new Promise((resolve) => setTimeout(resolve, POLL_MS))]);
  }
  return { socket, close };
}

/** Runs a shell script there with `input`; ssh's own words go to this process's standard error. */
export async function runBySsh(
  destination: string,
  script: string,
  input: Uint8Array,
): Promise<{ readonly code: number; readonly stdout: string }> {
  const child = new Deno.Command("ssh", {
    args: ["-T", ...target(destination), script],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  // Whoever ends early says why by its exit code.
  await writer.write(input as Uint8Array<ArrayBuffer>).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout } = await output;
  return { code, stdout: new TextDecoder().decode(stdout) };
}

/** Logs in with this process's terminal; the exit code is the command's, or 255 from ssh itself. */
export async function logIn(login: SshLogin): Promise<number> {
  const { host, user, port, jump, tty, command } = login;
  const args = [
    ...(tty ? ["-t"] : []),
    ...(jump ? ["-J", jump] : []),
    ...(user ? ["-l", user] : []),
    ...(port === undefined ? [] : ["-p", `${port}`]),
    ...["--", host, ...command],
  ];
  // Ctrl-C is for ssh, which hears it as well.
  const ignore = onInterrupt(() => {});
  try {
    const { code } = await new Deno.Command("ssh", {
      args,
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    return code;
  } finally {
    ignore();
  }
}

/** `user@machine:port` as arguments of ssh. */
function target(destination: string): string[] {
  const [, host = destination, port] = /^(.*?)(?::(\d+))?$/.exec(destination) ?? [];
  return [...(port ? ["-p", port] : []), "--", host];
}
