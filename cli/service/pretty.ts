import { formatDuration } from "../../src/base/duration.ts";
import type { ContainerSpec } from "../../src/model/container_spec.ts";
import { sourceOf } from "../../src/model/port_source.ts";
import type {
  PortConfig,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
} from "../../src/model/service_spec.ts";
import type { ApiService } from "../api_types.ts";
import { Blocks } from "../render/blocks.ts";
import { modeText } from "../render/services.ts";
import { ago, bytesText } from "../render/text.ts";

/** A service in words. `networks` are names by id. */
export function prettyService(
  service: ApiService,
  networks: ReadonlyMap<string, string>,
  nowMs: number,
): string {
  const out = new Blocks();
  const spec = service.Spec;
  const task = spec.TaskTemplate ?? {};
  const container = task.ContainerSpec ?? {};
  out.line("ID", service.ID).line("Name", spec.Name).pairs("Labels", spec.Labels)
    .line("Service Mode", serviceMode(service));
  modeLines(out, service);
  updateStatus(out, service, nowMs);
  placement(out, task);
  updateConfig(out, "UpdateConfig", "update", spec.UpdateConfig);
  updateConfig(out, "RollbackConfig", "rollback", spec.RollbackConfig);
  containerLines(out, container);
  out.line("Log Driver", task.LogDriver?.Name)
    .pairs("Log Driver Options", task.LogDriver?.Options);
  resources(out, task);
  out.line(
    "Networks",
    (task.Networks ?? spec.Networks ?? [])
      .map((network) => networks.get(network.Target ?? "") ?? network.Target).join(" "),
  );
  out.line("Endpoint Mode", service.Endpoint?.Spec?.Mode ?? spec.EndpointSpec?.Mode);
  out.block("Ports", (ports) => {
    for (const port of service.Endpoint?.Ports ?? spec.EndpointSpec?.Ports ?? []) {
      ports.line("PublishedPort", port.PublishedPort).line(" Protocol", port.Protocol)
        .line(" TargetPort", port.TargetPort).line(" PublishMode", port.PublishMode)
        .line(" Source", sourceText(spec, port));
    }
  });
  healthcheck(out, container);
  return out.toString();
}

/** How tasks see the clients, where it is not Swarm's way; the API has no place for it but labels. */
function sourceText(spec: ServiceSpec, { PublishMode, PublishedPort }: PortConfig) {
  if ((PublishMode ?? "ingress") !== "ingress" || !PublishedPort) return undefined;
  const source = sourceOf(spec, PublishedPort);
  return source === "masquerade" ? undefined : source;
}

function serviceMode(service: ApiService): string {
  return { "replicated job": "ReplicatedJob", "global job": "GlobalJob" }[modeText(service)] ??
    (service.Spec.Mode?.Global ? "Global" : "Replicated");
}

function modeLines(out: Blocks, service: ApiService): void {
  const mode = service.Spec.Mode;
  if (mode?.ReplicatedJob) {
    out.line(" Max Concurrent", mode.ReplicatedJob.MaxConcurrent)
      .line(" Total Completions", mode.ReplicatedJob.TotalCompletions);
  } else if (!mode?.Global && !mode?.GlobalJob) {
    out.line(" Replicas", mode?.Replicated?.Replicas ?? 1);
  }
  if (service.JobStatus) {
    out.block(
      "Job Status",
      (job) =>
        job.line("Job Iteration", service.JobStatus?.JobIteration.Index)
          .line("Last Execution", service.JobStatus?.LastExecution),
    );
  }
}

function updateStatus(out: Blocks, service: ApiService, nowMs: number): void {
  const status = service.UpdateStatus;
  if (!status) return;
  out.block("UpdateStatus", (block) =>
    block.line("State", status.State)
      .line("Started", ago(status.StartedAt, nowMs))
      .line("Completed", ago(status.CompletedAt, nowMs))
      .line("Message", status.Message));
}

function placement(out: Blocks, task: TaskSpec): void {
  const place = task.Placement;
  out.block("Placement", (block) => {
    block.line("Constraints", place?.Constraints?.join(", "))
      .line(
        "Preferences",
        place?.Preferences?.map((p) => `spread=${p.Spread?.SpreadDescriptor}`).join(", "),
      )
      .line("Max Replicas Per Node", place?.MaxReplicas || undefined);
  });
}

function updateConfig(
  out: Blocks,
  heading: string,
  word: string,
  config: UpdateConfig | undefined,
): void {
  if (!config) return;
  const duration = (ns: number | undefined) => ns ? formatDuration(ns) : undefined;
  out.block(heading, (block) =>
    block.line("Parallelism", config.Parallelism ?? 0)
      .line("Delay", duration(config.Delay))
      .line(`On failure`, config.FailureAction)
      .line(`Monitoring Period`, duration(config.Monitor))
      .line(`Max failure ratio`, config.MaxFailureRatio ?? 0)
      .line(word === "update" ? "Update order" : "Rollback order", config.Order));
}

function containerLines(out: Blocks, container: ContainerSpec): void {
  const list = (words: readonly string[] | undefined) => words?.join(" ");
  out.block("ContainerSpec", (block) =>
    block.line("Image", container.Image)
      .line("Command", list(container.Command))
      .line("Args", list(container.Args))
      .line("Env", list(container.Env))
      .line("Dir", container.Dir)
      .line("Hostname", container.Hostname)
      .line("Init", container.Init)
      .line("User", container.User)
      .line("Groups", list(container.Groups))
      .line("Capabilities Add", container.CapabilityAdd?.join(", "))
      .line("Capabilities Drop", container.CapabilityDrop?.join(", "))
      .line("Read-only", container.ReadOnly || undefined)
      .line("Stop Signal", container.StopSignal)
      .pairs("Container Labels", container.Labels)
      .pairs("SysCtls", container.Sysctls)
      .block("Ulimits", (limits) => {
        for (const limit of container.Ulimits ?? []) {
          limits.text(`${limit.Name}: ${limit.Soft}:${limit.Hard}`);
        }
      }));
  out.block("Mounts", (block) => {
    for (const mount of container.Mounts ?? []) {
      block.line("Target", mount.Target).line(" Source", mount.Source)
        .line(" ReadOnly", mount.ReadOnly ?? false).line(" Type", mount.Type);
    }
  });
  out.block("Configs", (block) => {
    for (const config of container.Configs ?? []) {
      block.line("Target", config.File?.Name).line(" Source", config.ConfigName);
    }
  });
  out.block("Secrets", (block) => {
    for (const secret of container.Secrets ?? []) {
      block.line("Target", secret.File?.Name).line(" Source", secret.SecretName);
    }
  });
}

function resources(out: Blocks, task: TaskSpec): void {
  const cpus = (nano: number | undefined) => nano ? nano / 1e9 : undefined;
  const memory = (bytes: number | undefined) => bytes ? bytesText(bytes) : undefined;
  const { Limits: limits, Reservations: reservations } = task.Resources ?? {};
  out.block("Resources", (block) => {
    block.block("Reservations", (inner) =>
      inner.line("CPU", cpus(reservations?.NanoCPUs))
        .line("Memory", memory(reservations?.MemoryBytes)));
    block.block(
      "Limits",
      (inner) =>
        inner.line("CPU", cpus(limits?.NanoCPUs)).line("Memory", memory(limits?.MemoryBytes))
          .line("PIDs", limits?.Pids || undefined),
    );
  });
}

function healthcheck(out: Blocks, container: ContainerSpec): void {
  const check = container.Healthcheck;
  if (!check) return;
  const duration = (ns: number | undefined) => ns ? formatDuration(ns) : undefined;
  out.block("Healthcheck", (block) =>
    block.line("Test", check.Test?.join(" "))
      .line("Interval", duration(check.Interval))
      .line("Timeout", duration(check.Timeout))
      .line("Retries", check.Retries || undefined)
      .line("StartPeriod", duration(check.StartPeriod))
      .line("StartInterval", duration(check.StartInterval)));
}
