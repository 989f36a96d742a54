import type { Answer, SeenRequest } from "./fake_agent.ts";

/** A small cluster for tests: three nodes, five services, their tasks, and one of everything else. */

const created = "2026-11-20T10:00:00.000000000Z";
const meta = (ID: string, index: number) => ({
  ID,
  Version: { Index: index },
  CreatedAt: created,
  UpdatedAt: "2026-11-20T11:00:00.000000000Z",
});

const ROOT = "-----BEGIN CERTIFICATE-----\nMIIBazCCARCgAwIBAgIU\n-----END CERTIFICATE-----\n";
const TLS = { TrustRoot: ROOT, CertIssuerSubject: "MBMxETAP", CertIssuerPublicKey: "MFkwEwYH" };

function node(n: number, more: Record<string, unknown>) {
  return {
    ...meta(`n${n}aaaaaaaaaaaaaaaaaaaaaa${n}`, 10 + n),
    Spec: { Labels: { zone: "a" }, Role: "worker", Availability: "active" },
    Description: {
      Hostname: `h${n}`,
      Platform: { Architecture: "x86_64", OS: "linux" },
      Resources: { NanoCPUs: 2_000_000_000, MemoryBytes: 25_769_803_776 },
      Engine: {
        EngineVersion: "20.10.24",
        Plugins: [{ Type: "Network", Name: "overlay" }, { Type: "Network", Name: "bridge" }, {
          Type: "Volume",
          Name: "local",
        }],
      },
      TLSInfo: TLS,
    },
    Status: { State: "ready", Addr: `10.0.0.${n}` },
    ...more,
  };
}

export const NODES = [
  node(10, { Status: { State: "down", Message: "heartbeat failure", Addr: "10.0.0.10" } }),
  node(1, {
    Spec: { Labels: {}, Role: "manager", Availability: "active" },
    ManagerStatus: { Leader: true, Reachability: "reachable", Addr: "10.0.0.1:2377" },
  }),
  node(2, {
    Spec: { Labels: {}, Role: "manager", Availability: "drain" },
    ManagerStatus: { Reachability: "unreachable", Addr: "10.0.0.2:2377" },
    CertificateExpiry: "2026-12-01T10:00:00.000Z",
    CertificateDaysLeft: 6,
  }),
];
export const SELF = NODES[1]!.ID;

function service(name: string, index: number, spec: Record<string, unknown>, more = {}) {
  return {
    ...meta(`s${index}${name.padEnd(23, "x")}`.slice(0, 25), index),
    Spec: {
      Name: name,
      Labels: {},
      TaskTemplate: { ContainerSpec: { Image: "nginx:1.27@sha256:" + "a".repeat(64) } },
      Mode: { Replicated: { Replicas: 2 } },
      EndpointSpec: { Mode: "vip" },
      ...spec,
    },
    Endpoint: { Spec: { Mode: "vip" } },
    ServiceStatus: { RunningTasks: 1, DesiredTasks: 2, CompletedTasks: 0 },
    ...more,
  };
}

const port = (published: number, target: number, mode = "ingress", protocol = "tcp") => ({
  Protocol: protocol,
  TargetPort: target,
  PublishedPort: published,
  PublishMode: mode,
});

export const SERVICES = [
  service("web10", 25, {}),
  service("web2", 21, {
    Labels: { tier: "front", a: "" },
    TaskTemplate: {
      ContainerSpec: {
        Image: "nginx:1.27@sha256:" + "a".repeat(64),
        Args: ["sh", "-c", "sleep 1"],
        Env: ["A=1", "B=2"],
        Dir: "/srv",
        User: "www",
        Init: false,
        StopGracePeriod: 10_000_000_000,
        Mounts: [{ Type: "volume", Source: "data", Target: "/data" }],
        Secrets: [{
          File: { Name: "key", UID: "0", GID: "0", Mode: 292 },
          SecretID: "sec1",
          SecretName: "tls",
        }],
        Configs: [{
          File: { Name: "/etc/site.conf", UID: "0", GID: "0", Mode: 292 },
          ConfigID: "cfg1",
          ConfigName: "site",
        }],
        Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 5_000_000_000, Retries: 3 },
      },
      Resources: {
        Limits: { NanoCPUs: 500_000_000, MemoryBytes: 67_108_864 },
        Reservations: { MemoryBytes: 33_554_432 },
      },
      Placement: { Constraints: ["node.role==worker"], MaxReplicas: 2 },
      Networks: [{ Target: "net1" }],
    },
    UpdateConfig: {
      Parallelism: 1,
      Delay: 2_000_000_000,
      FailureAction: "pause",
      Monitor: 5_000_000_000,
      MaxFailureRatio: 0,
      Order: "stop-first",
    },
  }, {
    Endpoint: {
      Spec: { Mode: "vip" },
      Ports: [port(8081, 81), port(8080, 80), port(53, 53, "ingress", "udp"), port(90, 90, "host")],
    },
    UpdateStatus: {
      State: "completed",
      StartedAt: "2026-11-20T11:50:00Z",
      CompletedAt: "2026-11-20T11:51:00Z",
      Message: "update completed",
    },
  }),
  service("agent", 22, { Mode: { Global: {} } }, {
    ServiceStatus: { RunningTasks: 3, DesiredTasks: 3 },
  }),
  service("batch", 23, { Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 10 } } }, {
    ServiceStatus: { RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 4 },
    JobStatus: { JobIteration: { Index: 23 }, LastExecution: created },
  }),
  service("sweep", 24, { Mode: { GlobalJob: {} } }, {
    ServiceStatus: { RunningTasks: 0, DesiredTasks: 0, CompletedTasks: 3 },
  }),
];

function task(
  n: number,
  at: { service: string; slot?: number; node?: string },
  state: string,
  more: { desired?: string; ago?: number; err?: string; created?: string; ports?: unknown[] } = {},
) {
  return {
    ...meta(`t${n}`.padEnd(25, "k"), 100 + n),
    CreatedAt: more.created ?? created,
    Spec: SERVICES.find((service) => service.ID === at.service)?.Spec["TaskTemplate"] ?? {},
    ServiceID: at.service,
    ...(at.slot === undefined ? {} : { Slot: at.slot }),
    ...(at.node === undefined ? {} : { NodeID: at.node }),
    Status: {
      Timestamp: new Date(Date.UTC(2026, 10, 20, 12) - (more.ago ?? 60) * 1000).toISOString(),
      State: state,
      Message: state,
      ...(more.err ? { Err: more.err } : {}),
      PortStatus: more.ports ? { Ports: more.ports } : {},
    },
    DesiredState: more.desired ?? "running",
  };
}

const web = SERVICES[1]!.ID;
const agent = SERVICES[2]!.ID;
export const TASKS = [
  task(4, { service: web, slot: 10, node: NODES[0]!.ID }, "running", { ago: 7300 }),
  task(1, { service: web, slot: 2, node: SELF }, "running", { ports: [port(90, 90, "host")] }),
  task(2, { service: web, slot: 2, node: SELF }, "failed", {
    desired: "shutdown",
    ago: 90,
    created: "2026-11-20T09:00:00Z",
    err: "task: non-zero exit (1): something went badly wrong",
  }),
  task(3, { service: web, slot: 1 }, "pending", {
    ago: 5,
    err: "no suitable node (scheduling constraints not satisfied on 3 nodes)",
  }),
  task(5, { service: agent, node: SELF }, "running", { ago: 0 }),
];

export const SECRETS = [
  { ...meta("sec2", 31), Spec: { Name: "tls10", Labels: { a: "b", c: "d" } } },
  { ...meta("sec1", 30), Spec: { Name: "tls2", Labels: {}, Driver: { Name: "vault" } } },
];
export const CONFIGS = [
  { ...meta("cfg1", 32), Spec: { Name: "site", Labels: { a: "b" }, Data: btoa("listen 80;\n") } },
];
export const NETWORKS = [
  {
    Name: "ingress",
    Id: "ingressingressingressing",
    Created: created,
    Scope: "swarm",
    Driver: "overlay",
    EnableIPv4: true,
    EnableIPv6: false,
    Ingress: true,
    Labels: null,
  },
  {
    Name: "back",
    Id: "net1",
    Created: created,
    Scope: "swarm",
    Driver: "overlay",
    EnableIPv4: true,
    EnableIPv6: false,
    Labels: { a: "b" },
  },
];

const CLUSTER_SPEC = {
  Name: "default",
  Labels: {},
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: {
    SnapshotInterval: 10000,
    KeepOldSnapshots: 0,
    LogEntriesForSlowFollowers: 500,
    ElectionTick: 10,
    HeartbeatTick: 1,
  },
  Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
  CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
  TaskDefaults: {},
  EncryptionConfig: { AutoLockManagers: false },
};
export const SWARM = {
  ...meta("clusterclusterclustercluster".slice(0, 25), 9),
  Spec: CLUSTER_SPEC,
  TLSInfo: TLS,
  RootRotationInProgress: false,
  DefaultAddrPool: ["10.0.0.0/8"],
  SubnetSize: 24,
  DataPathPort: 4789,
  JoinTokens: { Worker: "SWMTKN-1-root-worker", Manager: "SWMTKN-1-root-manager" },
};
export const INFO = {
  Name: "h1",
  ServerVersion: "20.10.24",
  Swarm: {
    NodeID: SELF,
    NodeAddr: "10.0.0.1",
    LocalNodeState: "active",
    ControlAvailable: true,
    Error: "",
    RemoteManagers: [{ NodeID: SELF, Addr: "10.0.0.1:2377" }],
    Nodes: 3,
    Managers: 2,
    Cluster: SWARM,
  },
};

/** Answers the reads of Docker's clients from this cluster, writes with what they expect. */
export const answerFixture: Answer = (request) => {
  if (request.path === "/_ping") {
    return new Response("OK", { headers: { "Api-Version": "1.51", Swarm: "active/manager" } });
  }
  if (request.path === "/info") return INFO;
  if (request.path === "/swarm") return SWARM;
  if (request.path === "/swarm/init") return SELF;
  if (request.path === "/swarm/unlockkey") return { UnlockKey: "SWMKEY-1-key" };
  if (request.path.startsWith("/swarm/")) return new Response(null);
  if (request.path === "/fleet/info") {
    return { Tolerance: "2 managers: losing one stops all changes. Add a third." };
  }
  return collection(request, "/nodes", NODES, (item) => item.Description.Hostname) ??
    collection(request, "/services", SERVICES, (item) => item.Spec.Name) ??
    collection(request, "/tasks", TASKS, (item) => item.ID) ??
    collection(request, "/secrets", SECRETS, (item) => item.Spec.Name) ??
    collection(request, "/configs", CONFIGS, (item) => item.Spec.Name) ??
    collection(request, "/networks", NETWORKS, (item) => item.Name);
};

function collection<T extends object>(
  { path, method }: SeenRequest,
  root: string,
  items: readonly T[],
  nameOf: (item: T) => string,
): unknown {
  if (path === root) return items;
  if (!path.startsWith(`${root}/`)) return undefined;
  const rest = path.slice(root.length + 1);
  if (rest === "create") {
    return Response.json({ ID: "newobject", Id: "newobject", Warnings: null }, { status: 201 });
  }
  const reference = decodeURIComponent(rest.replace(/\/update$/, ""));
  const idOf = (item: T) =>
    (item as { ID?: string; Id?: string }).ID ?? (item as { Id: string }).Id;
  const found = items.find((item) => idOf(item) === reference || nameOf(item) === reference) ??
    items.find((item) => idOf(item).startsWith(reference));
  if (!found) {
    return Response.json({ message: `${root.slice(1, -1)} ${reference} not found` }, {
      status: 404,
    });
  }
  if (method === "DELETE") return new Response(null, { status: 200 });
  if (rest.endsWith("/update")) return { Warnings: null };
  return found;
}
