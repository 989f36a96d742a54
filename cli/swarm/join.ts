import { FleetError } from "../../src/base/errors.ts";
import type { ApiInfo } from "../api_types.ts";
import { ensureAgent } from "../ensure_agent.ts";
import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";

interface Flags {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly advertiseAddr?: string;
  readonly listenAddr?: string;
  readonly dataPathAddr?: string;
  readonly availability?: string;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] HOST:PORT").argument("<host:port>", "A manager of the cluster")
      .value("--token <string>", "Join token (fleet join-token worker, on a manager)")
      .value("--token-file <path>", "Read the token from a file, or from the input (-)")
      .value("--advertise-addr <address>", "Address that other nodes use (ip or interface[:port])")
      .value("--listen-addr <address>", "Address to listen on (default the agent's)")
      .value("--data-path-addr <address>", "Address for traffic between containers")
      .value(
        "--availability <word>",
        "active, pause or drain (default active)",
        choice("active", "pause", "drain"),
      )
      .examples("fleet join --token SWMTKN-1-… 192.168.10.5:2377");
  },
  async run(context, [remote = ""], flags) {
    const { client, env } = context;
    // Arguments of a process can be read by everybody on the machine.
    const bytes = flags.tokenFile === undefined
      ? undefined
      : flags.tokenFile === "-"
      ? await env.stdin.readAll()
      : await env.readFile(flags.tokenFile);
    const token = bytes === undefined ? flags.token : new TextDecoder().decode(bytes).trim();
    if (!token) {
      throw new FleetError(
        "invalid",
        '--token is required: "fleet join-token worker" on a manager prints the whole command',
      );
    }
    await ensureAgent(context);
    await client.post("/swarm/join", {
      body: {
        ListenAddr: flags.listenAddr ?? "",
        AdvertiseAddr: flags.advertiseAddr ?? "",
        DataPathAddr: flags.dataPathAddr ?? "",
        RemoteAddrs: [remote],
        JoinToken: token,
        Availability: flags.availability ?? "active",
      },
    });
    const info = await client.get<ApiInfo>("/info");
    const role = info.Swarm?.ControlAvailable ? "manager" : "worker";
    context.print(`This node joined a swarm as a ${role}.`);
  },
};
