import type { FleetCommand } from "../fleet_command.ts";
import * as parse from "../spec/values.ts";

/** The flags that `create` and `update` share. `defaults` tells what holds when a flag is not given. */
export function addServiceFlags(command: FleetCommand, defaults: boolean): FleetCommand {
  const or = (text: string) => defaults ? ` (default ${text})` : "";
  const duration = parse.parseNonNegativeDuration;
  command
    .flag("-d, --detach", "Do not wait until the service has converged")
    .flag("-q, --quiet", "Wait, but show no progress")
    .value("-w, --workdir <string>", "Working directory in the container")
    .value("-u, --user <string>", "User name or id ([:group])")
    .value("--hostname <string>", "Host name of the containers")
    .value("--entrypoint <command>", "Replaces the image's ENTRYPOINT")
    .value("--credential-spec <spec>", "config://, file:// or registry:// (Windows only)")
    .list("--cap-add <list>", "Add Linux capabilities")
    .list("--cap-drop <list>", "Drop Linux capabilities")
    .value("--limit-cpu <decimal>", "Limit CPUs", parse.parseCpus)
    .value("--limit-memory <bytes>", "Limit memory", parse.parseBytes)
    .value("--limit-pids <int>", "Limit processes (0 is unlimited)", parse.parseUint)
    .value("--reserve-cpu <decimal>", "Reserve CPUs", parse.parseCpus)
    .value("--reserve-memory <bytes>", "Reserve memory", parse.parseBytes)
    .value("--memory-swap <bytes>", "Swap that may be used (-1 is unlimited)", swapBytes)
    .value("--memory-swappiness <int>", "0 to 100, -1 for the host's", parse.parseInteger)
    .value("--stop-grace-period <duration>", `Time to stop before the kill${or("10s")}`, duration)
    .value("--stop-signal <string>", "Signal that stops the container")
    .value("--isolation <string>", "Isolation mode (Windows only)")
    .flag("--read-only", "Mount the container's root file system read-only")
    .flag("-t, --tty", "Allocate a pseudo-TTY")
    .flag("--init", "Run an init in the container that reaps processes")
    .value("--oom-score-adj <int>", "OOM preference, -1000 to 1000", parse.parseInteger)
    .value("--replicas <uint>", "Number of tasks", parse.parseUint)
    .value("--max-concurrent <uint>", "Tasks of a job that run at once", parse.parseUint)
    .value(
      "--replicas-max-per-node <uint>",
      "Most tasks on one node (0 is unlimited)",
      parse.parseUint,
    )
    .value(
      "--restart-condition <word>",
      `none, on-failure or any${or("any")}`,
      parse.choice("none", "on-failure", "any"),
    )
    .value("--restart-delay <duration>", `Delay between attempts${or("5s")}`, duration)
    .value("--restart-max-attempts <uint>", "Attempts before giving up", parse.parseUint)
    .value("--restart-window <duration>", "Time in which attempts count", duration);
  command
    .flag("--restart-backoff", "Slow crash loops down (on; --restart-backoff=false turns it off)")
    .flag("--privileged", "Run privileged, where the cluster's policy allows it")
    .list(
      "--device <device>",
      "Device of the host (/dev/a[:/dev/b][:rwm]); all that there shall be",
    );
  addUpdateFlags(command, "update", or);
  addUpdateFlags(command, "rollback", or);
  return command
    .value("--endpoint-mode <word>", `vip or dnsrr${or("vip")}`, parse.choice("vip", "dnsrr"))
    .flag("--with-registry-auth", "Send your registry login to the nodes")
    .flag("--no-resolve-image", "Do not ask the registry for the image's digest")
    .value("--log-driver <string>", "Logging driver")
    .list("--log-opt <list>", "Option of the logging driver (key=value)")
    .value("--health-cmd <string>", "Command that checks health")
    .value("--health-interval <duration>", "Time between checks", duration)
    .value("--health-timeout <duration>", "Longest time of one check", duration)
    .value("--health-retries <int>", "Failures in a row before unhealthy", parse.parseUint)
    .value("--health-start-period <duration>", "Time to start before failures count", duration)
    .value("--health-start-interval <duration>", "Time between checks in that time", duration)
    .flag("--no-healthcheck", "Turn the image's health check off");
}

function addUpdateFlags(
  command: FleetCommand,
  kind: "update" | "rollback",
  or: (text: string) => string,
): void {
  const duration = parse.parseNonNegativeDuration;
  const actions = kind === "update"
    ? parse.choice("pause", "continue", "rollback")
    : parse.choice("pause", "continue");
  const words = kind === "update" ? "pause, continue or rollback" : "pause or continue";
  command
    .value(`--${kind}-parallelism <uint>`, `Tasks at once (0 is all)${or("1")}`, parse.parseUint)
    .value(`--${kind}-delay <duration>`, `Delay between tasks${or("0s")}`, duration)
    .value(`--${kind}-monitor <duration>`, `Time to watch each task${or("5s")}`, duration)
    .value(`--${kind}-failure-action <word>`, `${words}${or("pause")}`, actions)
    .value(`--${kind}-max-failure-ratio <float>`, `Failures to bear${or("0")}`, parse.parseRatio)
    .value(
      `--${kind}-order <word>`,
      `start-first or stop-first${or("stop-first")}`,
      parse.choice("start-first", "stop-first"),
    );
}

function swapBytes(text: string): number {
  return text === "-1" ? -1 : parse.parseBytes(text);
}

/** Every list flag of `create`, with what one item is. */
export const LISTS: readonly (readonly [flag: string, short: string, what: string])[] = [
  ["env", "-e, ", "Environment variable (NAME=value, or NAME to pass it on)"],
  ["label", "-l, ", "Label of the service (key=value)"],
  ["container-label", "", "Label of the containers (key=value)"],
  ["mount", "", "Mount (type=volume,source=data,target=/data)"],
  ["publish", "-p, ", "Published port ([published:]target[/protocol], or long)"],
  ["constraint", "", "Placement constraint (node.labels.zone==a)"],
  ["placement-pref", "", "Placement preference (spread=node.labels.zone)"],
  ["network", "", "Network (name, or name=…,alias=…,driver-opt=k=v)"],
  ["secret", "", "Secret (name, or source=…,target=…,uid=…,gid=…,mode=…)"],
  ["config", "", "Config (name, or source=…,target=…,uid=…,gid=…,mode=…)"],
  ["group", "", "Additional group of the user"],
  ["dns", "", "DNS server"],
  ["dns-option", "", "DNS option"],
  ["dns-search", "", "DNS search domain"],
  ["host", "", "Entry of the hosts file (name:address)"],
  ["sysctl", "", "Kernel parameter (key=value)"],
  ["ulimit", "", "Limit (name=soft[:hard])"],
  ["generic-resource", "", "User-defined resource (name=count)"],
];

/** What `…-rm` takes of each list. */
export const REMOVAL_KEYS: Readonly<Record<string, string>> = {
  env: "name",
  label: "key",
  "container-label": "key",
  mount: "target path",
  publish: "target port",
  constraint: "the constraint",
  "placement-pref": "the preference",
  network: "name",
  secret: "name",
  config: "name",
  group: "name",
  dns: "address",
  "dns-option": "the option",
  "dns-search": "the domain",
  host: "name[:address]",
  sysctl: "key",
  ulimit: "name",
  "generic-resource": "name",
};
