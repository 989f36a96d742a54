import type { Entry } from "./verb.ts";

type Entries = Readonly<Record<string, Entry>>;

/** The verbs of the cluster as a whole: at the top, and under `swarm` as Docker spells them. */
const CLUSTER: Entries = {
  init: { summary: "Make a cluster of this node", load: () => import("./swarm/init.ts") },
  join: { summary: "Join this node to a cluster", load: () => import("./swarm/join.ts") },
  "join-token": {
    summary: "Show or change the tokens that nodes join with",
    load: () => import("./swarm/join_token.ts"),
  },
  leave: { summary: "Take this node out of its cluster", load: () => import("./swarm/leave.ts") },
  update: { summary: "Change the cluster's settings", load: () => import("./swarm/update.ts") },
  unlock: { summary: "Unlock this manager", load: () => import("./swarm/unlock.ts") },
  "unlock-key": {
    summary: "Show or change the unlock key",
    load: () => import("./swarm/unlock_key.ts"),
  },
  ca: { summary: "Show or change the root CA", load: () => import("./swarm/ca.ts") },
};

const NODE: Entries = {
  ls: { summary: "List nodes", aliases: ["list"], load: () => import("./node/ls.ts") },
  inspect: { summary: "Show nodes in full", load: () => import("./node/inspect.ts") },
  ps: { summary: "List the tasks of nodes", load: () => import("./node/ps.ts") },
  update: { summary: "Change a node", load: () => import("./node/update.ts") },
  drain: { summary: "Move a node's tasks elsewhere", load: () => import("./node/drain.ts") },
  rebalance: {
    summary: "Move running tasks to a node for an even spread",
    load: () => import("./node/rebalance.ts"),
  },
  promote: { summary: "Make nodes managers", load: () => import("./node/promote.ts") },
  demote: { summary: "Make managers workers", load: () => import("./node/demote.ts") },
  rename: { summary: "Give a node another name", load: () => import("./node/rename.ts") },
  rm: { summary: "Remove nodes", aliases: ["remove"], load: () => import("./node/rm.ts") },
};

const SERVICE: Entries = {
  create: { summary: "Create a service", load: () => import("./service/create.ts") },
  ls: { summary: "List services", aliases: ["list"], load: () => import("./service/ls.ts") },
  ps: { summary: "List the tasks of services", load: () => import("./service/ps.ts") },
  inspect: { summary: "Show services in full", load: () => import("./service/inspect.ts") },
  logs: { summary: "Show the logs of a service or task", load: () => import("./service/logs.ts") },
  exec: {
    summary: "Run a command in a container, on whichever node it is",
    load: () => import("./service/exec.ts"),
  },
  scale: {
    summary: "Change the number of replicas of services",
    load: () => import("./service/scale.ts"),
  },
  update: { summary: "Change a service", load: () => import("./service/update.ts") },
  rollback: {
    summary: "Go back to a service's previous spec",
    load: () => import("./service/rollback.ts"),
  },
  rebalance: {
    summary: "Spread the running tasks of services evenly",
    load: () => import("./service/rebalance.ts"),
  },
  rm: { summary: "Remove services", aliases: ["remove"], load: () => import("./service/rm.ts") },
};

const STACK: Entries = {
  deploy: {
    summary: "Deploy a stack, or change it",
    aliases: ["up"],
    load: () => import("./stack/deploy.ts"),
  },
  diff: { summary: "Show what a deployment would change", load: () => import("./stack/diff.ts") },
  ls: { summary: "List stacks", aliases: ["list"], load: () => import("./stack/ls.ts") },
  ps: { summary: "List the tasks of a stack", load: () => import("./stack/ps.ts") },
  services: { summary: "List the services of a stack", load: () => import("./stack/services.ts") },
  config: { summary: "Show the merged compose files", load: () => import("./stack/config.ts") },
  export: {
    summary: "Print the compose file of a running stack",
    load: () => import("./stack/export.ts"),
  },
  rm: {
    summary: "Remove stacks",
    aliases: ["remove", "down"],
    load: () => import("./stack/rm.ts"),
  },
};

const SECRET: Entries = {
  create: { summary: "Create a secret", load: () => import("./secret/create.ts") },
  ls: { summary: "List secrets", aliases: ["list"], load: () => import("./secret/ls.ts") },
  inspect: {
    summary: "Show secrets in full, without their data",
    load: () => import("./secret/inspect.ts"),
  },
  update: {
    summary: "Give a secret a new version, or other labels",
    load: () => import("./secret/update.ts"),
  },
  rm: { summary: "Remove secrets", aliases: ["remove"], load: () => import("./secret/rm.ts") },
};

const CONFIG: Entries = {
  create: { summary: "Create a config", load: () => import("./config/create.ts") },
  ls: { summary: "List configs", aliases: ["list"], load: () => import("./config/ls.ts") },
  inspect: { summary: "Show configs in full", load: () => import("./config/inspect.ts") },
  update: {
    summary: "Give a config a new version, or other labels",
    load: () => import("./config/update.ts"),
  },
  rm: { summary: "Remove configs", aliases: ["remove"], load: () => import("./config/rm.ts") },
};

const TOKEN: Entries = {
  create: { summary: "Make a join token that ends", load: () => import("./token/create.ts") },
  ls: { summary: "List such tokens", aliases: ["list"], load: () => import("./token/ls.ts") },
  revoke: { summary: "Take tokens away", load: () => import("./token/revoke.ts") },
};

const POLICY: Entries = {
  show: { summary: "Show fleet's own settings", load: () => import("./policy/show.ts") },
  set: { summary: "Change fleet's own settings", load: () => import("./policy/set.ts") },
};

const NETWORK: Entries = {
  create: { summary: "Create a network", load: () => import("./network/create.ts") },
  ls: { summary: "List networks", aliases: ["list"], load: () => import("./network/ls.ts") },
  inspect: { summary: "Show networks in full", load: () => import("./network/inspect.ts") },
  rm: { summary: "Remove networks", aliases: ["remove"], load: () => import("./network/rm.ts") },
  "rotate-keys": {
    summary: "Change the keys of encrypted networks now",
    load: () => import("./network/rotate_keys.ts"),
  },
};

const CONTEXT: Entries = {
  create: { summary: "Give a cluster a name", load: () => import("./context/create.ts") },
  ls: { summary: "List contexts", aliases: ["list"], load: () => import("./context/ls.ts") },
  use: { summary: "Talk to this cluster from now on", load: () => import("./context/use.ts") },
  show: { summary: "Print the context in use", load: () => import("./context/show.ts") },
  rm: { summary: "Forget contexts", aliases: ["remove"], load: () => import("./context/rm.ts") },
};

const MACHINE: Entries = {
  add: {
    summary: "Install fleet on a machine and join it",
    load: () => import("./machine/add.ts"),
  },
  ls: {
    summary: "List the cluster's machines",
    aliases: ["list"],
    load: () => import("./machine/ls.ts"),
  },
  ssh: {
    summary: "Log in to a machine, or run a command on it",
    load: () => import("./machine/login.ts"),
  },
  env: { summary: "Point fleet at a machine's agent", load: () => import("./machine/env.ts") },
  rm: {
    summary: "Take a machine out of its cluster",
    aliases: ["remove"],
    load: () => import("./machine/rm.ts"),
  },
};

const TASK: Entries = {
  inspect: { summary: "Show tasks in full", load: () => import("./task/inspect.ts") },
};

const IMPORT: Entries = {
  swarm: {
    summary: "Create here what runs on a Docker Swarm",
    load: () => import("./import/swarm.ts"),
  },
};

/** What one does all day, short: services by name or pattern, over all nodes. */
const EVERYDAY: Entries = {
  list: { summary: "List the tasks of all nodes", load: () => import("./everyday/list.ts") },
  run: {
    summary: "Run one task of an image as a service",
    load: () => import("./everyday/run.ts"),
  },
  stop: { summary: "Stop services, and keep them", load: () => import("./everyday/stop.ts") },
  restart: {
    summary: "Replace the tasks of services, the new ones first",
    load: () => import("./everyday/restart.ts"),
  },
  exec: {
    summary: "Run a command in a container, on whichever node it is",
    load: () => import("./service/exec.ts"),
  },
  ssh: {
    summary: "Log in to a node, or run a command on it",
    load: () => import("./machine/login.ts"),
  },
  diagnose: {
    summary: "Show why a service is as it is",
    load: () => import("./everyday/diagnose.ts"),
  },
  promote: { summary: "Make nodes managers", load: () => import("./node/promote.ts") },
};

/** For the day when something is lost. */
const RECOVERY: Entries = {
  backup: {
    summary: "Write the cluster's state to a sealed file",
    load: () => import("./recovery/backup.ts"),
  },
  restore: {
    summary: "Make a cluster again from a backup",
    load: () => import("./recovery/restore.ts"),
  },
  recover: {
    summary: "Find out what a cluster without a majority needs, and do it",
    load: () => import("./recovery/recover.ts"),
  },
};

const LAB: Entries = {
  up: { summary: "Start Docker hosts on this machine", load: () => import("./lab/up.ts") },
  status: { summary: "List the hosts of a lab", load: () => import("./lab/status.ts") },
  env: { summary: "Print what points the clients at a host", load: () => import("./lab/env.ts") },
  exec: { summary: "Run a command on a host", load: () => import("./lab/exec.ts") },
  cut: { summary: "Keep two hosts from hearing each other", load: () => import("./lab/cut.ts") },
  heal: { summary: "Let hosts hear each other again", load: () => import("./lab/heal.ts") },
  net: { summary: "Slow cables down, or lose packets", load: () => import("./lab/net.ts") },
  kill: { summary: "Cut the power of a host", load: () => import("./lab/kill.ts") },
  start: { summary: "Start a killed host again", load: () => import("./lab/start.ts") },
  pause: { summary: "Freeze what runs on a host", load: () => import("./lab/pause.ts") },
  resume: { summary: "Let a paused host go on", load: () => import("./lab/resume.ts") },
  demo: { summary: "Show a cluster losing a host", load: () => import("./lab/demo.ts") },
  open: { summary: "Print a link to a host's dashboard", load: () => import("./lab/open.ts") },
  down: { summary: "Stop a lab and remove all of it", load: () => import("./lab/down.ts") },
};

/**
 * Every command: names and summaries only, so that the table costs nothing. A verb's file is loaded
 * when the verb is called.
 */
export const COMMANDS: Entries = {
  ...CLUSTER,
  info: { summary: "Show this node and its cluster", load: () => import("./info.ts") },
  events: { summary: "Show what happens, as it happens", load: () => import("./events.ts") },
  audit: { summary: "Show who changed what", load: () => import("./audit.ts") },
  ui: { summary: "Print a link to the dashboard", load: () => import("./ui.ts") },
  ...EVERYDAY,
  node: { summary: "Manage nodes", verbs: NODE },
  service: { summary: "Manage services", verbs: SERVICE },
  stack: { summary: "Manage stacks", verbs: STACK },
  secret: { summary: "Manage secrets", verbs: SECRET },
  config: { summary: "Manage configs", verbs: CONFIG },
  network: { summary: "Manage networks", verbs: NETWORK },
  token: { summary: "Join tokens that end by time or by use", verbs: TOKEN },
  policy: { summary: "What the cluster allows and does by itself", verbs: POLICY },
  task: { summary: "Look at tasks", verbs: TASK },
  import: { summary: "Move in from elsewhere", verbs: IMPORT },
  swarm: { summary: "Manage the cluster, in Docker's spelling", verbs: CLUSTER },
  context: { summary: "Clusters on other machines, by name", verbs: CONTEXT },
  machine: { summary: "Machines that are reached by SSH", verbs: MACHINE },
  ...RECOVERY,
  doctor: {
    summary: "Look for what is wrong, and say what helps",
    load: () => import("./doctor/doctor.ts"),
  },
  upgrade: {
    summary: "Bring nodes to another version",
    load: () => import("./upgrade/upgrade.ts"),
  },
  agent: { summary: "Run this node's agent", load: () => import("./agent.ts") },
  lab: { summary: "Docker hosts on this machine, for trying out", verbs: LAB },
  completion: {
    summary: "Print what teaches a shell to complete fleet's commands",
    load: () => import("./completion/completion.ts"),
  },
  man: { summary: "Write the manual pages", load: () => import("./man/man.ts") },
  version: { summary: "Show the version", load: () => import("./version.ts") },
};
