import { shellWords } from "../../base/shell_words.ts";
import { deviceText, parseDevice } from "../../model/host_access.ts";
import { CONDITIONS } from "../../model/dependencies.ts";
import { messageOf } from "../../base/errors.ts";
import type { Cursor } from "./cursor.ts";
import { checkedEntries, SERVICE_KEYS } from "./keys.ts";
import { absolutePath } from "./paths.ts";
import type { Places } from "./paths.ts";
import { readDeploy } from "./read_deploy.ts";
import { readPorts } from "./read_ports.ts";
import { readPairs, readTexts } from "./read_texts.ts";
import { readVolumes } from "./read_volumes.ts";
import type { Dependency, EnvFile, FileUse, Healthcheck, ServiceEntry } from "./stack_file.ts";

/** One service in its long form; `extends` is done before. @throws FleetError invalid */
export function readService(at: Cursor, places: Places): ServiceEntry {
  const out: ServiceEntry = {};
  for (const [key, value] of checkedEntries(at, SERVICE_KEYS)) {
    readKey(out, key as keyof ServiceEntry | "extends" | "scale", value, places);
  }
  return out;
}

function readKey(
  out: ServiceEntry,
  key: keyof ServiceEntry | "extends" | "scale",
  at: Cursor,
  places: Places,
): void {
  switch (key) {
    case "command":
    case "entrypoint":
      out[key] = readCommand(at);
      break;
    case "environment":
      out.environment = Object.fromEntries(readPairs(at));
      break;
    case "env_file":
      out.env_file = readEnvFiles(at, places);
      break;
    case "labels":
    case "sysctls":
      out[key] = readTexts(at);
      break;
    case "cap_add":
    case "cap_drop":
    case "dns_opt":
    case "group_add":
    case "profiles":
      out[key] = at.strings();
      break;
    case "dns":
    case "dns_search":
    case "tmpfs":
      out[key] = at.stringOrList();
      break;
    case "extra_hosts":
      out.extra_hosts = readHosts(at);
      break;
    case "devices":
      out.devices = at.items().map(readDevice);
      break;
    case "init":
    case "privileged":
    case "read_only":
    case "stdin_open":
    case "tty":
      out[key] = at.boolean();
      break;
    case "hostname":
    case "image":
    case "isolation":
    case "stop_signal":
    case "user":
    case "working_dir":
      out[key] = at.text();
      break;
    case "restart":
      out.restart = readRestart(at);
      break;
    case "stop_grace_period":
      out.stop_grace_period = at.duration();
      break;
    case "oom_score_adj":
      out.oom_score_adj = at.integer(-1000);
      break;
    case "scale":
      out.deploy = { replicas: at.integer(0), ...out.deploy };
      break;
    case "deploy":
      out.deploy = { ...out.deploy, ...readDeploy(at) };
      break;
    case "ports":
      out.ports = readPorts(at);
      break;
    case "volumes":
      out.volumes = readVolumes(at, places);
      break;
    case "secrets":
    case "configs":
      out[key] = at.items().map(readFileUse);
      break;
    case "networks":
      out.networks = readNetworks(at);
      break;
    case "depends_on":
      out.depends_on = readDependencies(at);
      break;
    case "healthcheck":
      out.healthcheck = readHealthcheck(at);
      break;
    case "logging":
      out.logging = readLogging(at);
      break;
    case "ulimits":
      out.ulimits = readUlimits(at);
      break;
    case "credential_spec":
      out.credential_spec = readCredentialSpec(at);
      break;
    case "extends":
      break;
  }
}

/** A text is split as a shell does it, without a shell. */
function readCommand(at: Cursor): string[] {
  if (at.isList) return at.strings();
  try {
    return shellWords(at.text());
  } catch (error) {
    return at.fail(messageOf(error));
  }
}

function readEnvFiles(at: Cursor, places: Places): EnvFile[] {
  const list = at.isList ? at.items() : [at];
  return list.map((item) => {
    if (!item.isMap) return { path: absolutePath(item.text(), places), required: true };
    const file: EnvFile = { path: "", required: true };
    for (const [key, value] of checkedEntries(item, { known: ["format", "path", "required"] })) {
      if (key === "path") file.path = absolutePath(value.text(), places);
      else if (key === "required") file.required = value.boolean();
      else value.word("raw");
    }
    if (file.path === "") item.fail("needs a path");
    return file;
  });
}

/** As `docker run --device` has it, or a mapping. */
function readDevice(at: Cursor): string {
  let text = "";
  if (at.isMap) {
    const parts = new Map(
      checkedEntries(at, { known: ["permissions", "source", "target"] })
        .map(([key, value]) => [key, value.text()]),
    );
    const source = parts.get("source") ?? "";
    text = [source, parts.get("target") ?? source, parts.get("permissions") ?? "rwm"].join(":");
  } else text = at.text();
  if (text.includes(",")) at.fail(`device "${text}": a comma cannot stand in it`);
  try {
    return deviceText(parseDevice(text));
  } catch (error) {
    return at.fail(messageOf(error));
  }
}

/** `name:address` or `name=address`, or a mapping; sorted by name where it was one. */
function readHosts(at: Cursor): string[] {
  if (at.isMap) {
    return at.entries().sort(([a], [b]) => a < b ? -1 : 1)
      .flatMap(([name, value]) => value.stringOrList().map((address) => `${name}:${address}`));
  }
  return at.items().map((item) => {
    const text = item.text();
    const cut = text.search(/[:=]/);
    if (cut <= 0 || cut === text.length - 1) item.fail(`"${text}" must be name:address`);
    const address = text.slice(cut + 1).replace(/^\[(.*)\]$/, "$1");
    if (address === "host-gateway") {
      item.fail("host-gateway differs from node to node and is not supported: write an address");
    }
    return `${text.slice(0, cut)}:${address}`;
  });
}

function readRestart(at: Cursor): string {
  const text = typeof at.value === "boolean" ? (at.value ? "yes" : "no") : at.text();
  if (!/^(no|always|unless-stopped|on-failure(:\d+)?)$/.test(text)) {
    at.fail(`"${text}" is none of no, always, unless-stopped, on-failure, on-failure:ATTEMPTS`);
  }
  return text;
}

function readFileUse(at: Cursor): FileUse {
  if (!at.isMap) return { source: at.text() };
  const use: FileUse = { source: "" };
  for (
    const [key, value] of checkedEntries(at, { known: ["gid", "mode", "source", "target", "uid"] })
  ) {
    if (key === "mode") use.mode = value.mode();
    else if (key === "uid" || key === "gid") {
      use[key] = value.text();
      if (!/^\d{1,10}$/.test(use[key]!)) {
        value.fail("must be a number: names of users differ from image to image");
      }
    } else use[key as "source" | "target"] = value.text();
  }
  if (use.source === "") at.fail("needs a source: the name under the top level");
  return use;
}

function readNetworks(at: Cursor): NonNullable<ServiceEntry["networks"]> {
  const out: NonNullable<ServiceEntry["networks"]> = {};
  if (at.isList) {
    for (const name of at.strings()) out[name] = {};
    return out;
  }
  for (const [name, use] of at.entries()) {
    out[name] = {};
    const keys = {
      known: ["aliases", "driver_opts"],
      unsupported: [
        "gw_priority",
        "interface_name",
        "ipv4_address",
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "priority",
      ],
    };
    for (const [key, value] of checkedEntries(use, keys)) {
      if (key === "aliases") out[name].aliases = value.strings();
      else out[name].driver_opts = readTexts(value);
    }
  }
  return out;
}

function readDependencies(at: Cursor): Record<string, Dependency> {
  const out: Record<string, Dependency> = {};
  if (at.isList) {
    for (const name of at.strings()) out[name] = { condition: "service_started", required: true };
    return out;
  }
  for (const [name, each] of at.entries()) {
    const dependency: Dependency = { condition: "service_started", required: true };
    const keys = { known: ["condition", "required"], unsupported: ["restart"] };
    for (const [key, value] of checkedEntries(each, keys)) {
      if (key === "condition") dependency.condition = value.word(...CONDITIONS);
      else dependency.required = value.boolean();
    }
    out[name] = dependency;
  }
  return out;
}

function readHealthcheck(at: Cursor): Healthcheck {
  const out: Healthcheck = {};
  for (
    const [key, value] of checkedEntries(at, {
      known: [
        "disable",
        "interval",
        "retries",
        "start_interval",
        "start_period",
        "test",
        "timeout",
      ],
    })
  ) {
    if (key === "disable") out.disable = value.boolean();
    else if (key === "retries") out.retries = value.integer(0);
    else if (key === "test") {
      out.test = value.isList ? value.strings() : ["CMD-SHELL", value.text()];
      if (out.test.length > 0 && !["NONE", "CMD", "CMD-SHELL"].includes(out.test[0]!)) {
        value.fail(`a list must begin with NONE, CMD or CMD-SHELL, not ${out.test[0]}`);
      }
    } else out[key as "interval"] = value.duration();
  }
  if (out.disable && out.test !== undefined && out.test[0] !== "NONE") {
    at.fail("disable: true goes with no test: leave one of them out");
  }
  return out;
}

function readLogging(at: Cursor): NonNullable<ServiceEntry["logging"]> {
  const out: NonNullable<ServiceEntry["logging"]> = {};
  for (const [key, value] of checkedEntries(at, { known: ["driver", "options"] })) {
    if (key === "driver") out.driver = value.text();
    else out.options = readTexts(value);
  }
  return out;
}

function readUlimits(at: Cursor): NonNullable<ServiceEntry["ulimits"]> {
  const out: NonNullable<ServiceEntry["ulimits"]> = {};
  for (const [name, value] of at.entries()) {
    if (!value.isMap) {
      const limit = value.integer(-1);
      out[name] = { soft: limit, hard: limit };
      continue;
    }
    const [soft, hard] = [value.child("soft"), value.child("hard")];
    checkedEntries(value, { known: ["hard", "soft"] });
    out[name] = { soft: soft.integer(-1), hard: hard.integer(-1) };
  }
  return out;
}

function readCredentialSpec(at: Cursor): NonNullable<ServiceEntry["credential_spec"]> {
  const out: NonNullable<ServiceEntry["credential_spec"]> = {};
  for (const [key, value] of checkedEntries(at, { known: ["config", "file", "registry"] })) {
    out[key as "config"] = value.text();
  }
  if (Object.keys(out).length !== 1) at.fail("needs exactly one of config, file, registry");
  return out;
}
