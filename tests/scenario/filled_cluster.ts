/** A cluster with one of everything that the API shows, behind its real routes. */
import { withDefaults } from "../../src/model/defaults.ts";
import type { Service } from "../../src/model/service.ts";
import type { Task } from "../../src/model/task.ts";
import { Transaction } from "../../src/core/store/transaction.ts";
import { api } from "./cluster_api.ts";

const NOW = Date.UTC(2026, 0, 1);

export const SERVICE = {
  Name: "web",
  Labels: { a: "b" },
  TaskTemplate: {
    ContainerSpec: {
      Image: "busybox",
      Labels: { c: "d" },
      Command: ["sh"],
      Args: ["-c", "true"],
      Hostname: "h",
      Env: ["A=b"],
      Dir: "/tmp",
      User: "0",
      Groups: ["1"],
      Privileges: { SELinuxContext: { Disable: true }, NoNewPrivileges: true },
      TTY: true,
      Init: true,
      StopSignal: "SIGTERM",
      StopGracePeriod: 1e9,
      Mounts: [{ Type: "tmpfs", Target: "/tmp", TmpfsOptions: { SizeBytes: 1 } }, {
        Type: "volume",
        Source: "v",
        Target: "/v",
        VolumeOptions: { NoCopy: true, Labels: { a: "b" }, DriverConfig: { Name: "local" } },
      }],
      Healthcheck: { Test: ["CMD", "true"], Interval: 1e9, Retries: 1 },
      Hosts: ["10.0.0.1 far"],
      DNSConfig: { Nameservers: ["10.0.0.2"], Search: ["x"], Options: ["ndots:1"] },
      Sysctls: { "net.ipv4.ip_default_ttl": "63" },
      CapabilityAdd: ["CAP_NET_RAW"],
      CapabilityDrop: ["CAP_CHOWN"],
      Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    },
    Resources: {
      Limits: { NanoCPUs: 1e9, MemoryBytes: 8388608, Pids: 10 },
      Reservations: {
        NanoCPUs: 1e6,
        MemoryBytes: 8388608,
        GenericResources: [{ DiscreteResourceSpec: { Kind: "ssd", Value: 1 } }],
      },
    },
    RestartPolicy: { Condition: "any", Delay: 1, MaxAttempts: 2, Window: 3 },
    Placement: {
      Constraints: ["node.role==manager"],
      Preferences: [{ Spread: { SpreadDescriptor: "node.labels.a" } }],
      MaxReplicas: 3,
      Platforms: [{ OS: "linux", Architecture: "x86_64" }],
    },
    Networks: [{ Target: "front", Aliases: ["w"] }],
    LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
    ForceUpdate: 1,
  },
  Mode: { Replicated: { Replicas: 2 } },
  UpdateConfig: {
    Parallelism: 1,
    Delay: 0,
    FailureAction: "pause",
    Monitor: 1e9,
    MaxFailureRatio: 0.1,
    Order: "stop-first",
  },
  RollbackConfig: { Parallelism: 0, FailureAction: "continue", Order: "start-first" },
  EndpointSpec: {
    Mode: "vip",
    Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" }],
  },
};
export const FILE = {
  Name: "pw",
  Labels: { a: "b" },
  Data: "eA==",
  Templating: { Name: "golang" },
};
export const NETWORK = {
  Name: "front",
  Driver: "overlay",
  Attachable: true,
  Labels: { a: "b" },
  Options: { "com.docker.network.driver.mtu": "1400" },
  IPAM: { Driver: "default", Config: [{ Subnet: "10.9.0.0/24", Gateway: "10.9.0.1" }] },
};
export const CLUSTER = {
  Name: "default",
  Labels: { a: "b" },
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: { SnapshotInterval: 10000, ElectionTick: 10, HeartbeatTick: 1 },
  Dispatcher: { HeartbeatPeriod: 5e9 },
  CAConfig: { NodeCertExpiry: 7776e12 },
  TaskDefaults: { LogDriver: { Name: "json-file", Options: {} } },
  EncryptionConfig: { AutoLockManagers: false },
};
export const NODE = { Name: "n", Labels: { a: "b" }, Role: "manager", Availability: "active" };

/** What stands for `{id}` of each kind. */
export const NAMES = {
  services: "web",
  tasks: "task1",
  nodes: "node1",
  networks: "front",
  secrets: "pw",
  configs: "pw",
} as const;

/** The cluster; `send` is a request to it. */
export async function filledCluster() {
  const made = api();
  const send = (method: string, target: string, body?: unknown, headers = {}) =>
    made.app(
      new Request(`http://fleet${target}`, {
        method,
        ...(body === undefined ? {} : {
          body: typeof body === "string" ? body : JSON.stringify(body),
          headers: { "content-type": "application/json", ...headers },
        }),
      }),
    );
  const must = async (target: string, body: unknown) => {
    const response = await send("POST", target, body);
    if (!response.ok) throw new Error(`${target}: ${response.status} ${await response.text()}`);
  };
  await must("/networks/create", NETWORK);
  await must("/secrets/create", FILE);
  await must("/configs/create", FILE);
  await must("/services/create", SERVICE);
  for (const [Name, Mode] of Object.entries(MODES)) {
    const { EndpointSpec: _, UpdateConfig: __, RollbackConfig: ___, ...plain } = SERVICE;
    const TaskTemplate = {
      ...plain.TaskTemplate,
      Placement: {},
      RestartPolicy: { Condition: "on-failure" },
    };
    await must("/services/create", { ...plain, TaskTemplate, Name, Mode });
  }
  write(made.store, complete);
  return { ...made, send };
}

const MODES = {
  everywhere: { Global: {} },
  work: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
  sweep: { GlobalJob: {} },
};

function write(store: ReturnType<typeof api>["store"], change: (tx: Transaction) => void): void {
  const tx = new Transaction(store, NOW);
  change(tx);
  store.apply(store.index + 1, tx.changes());
}

/** What only agents and the managers' loops write. */
function complete(tx: Transaction): void {
  const time = "2026-01-01T00:00:00Z";
  const node = tx.get("node", "node1")!;
  tx.update("node", {
    ...node,
    Status: { State: "ready", Addr: "10.0.0.1" },
    Description: {
      Hostname: "h1",
      Platform: { Architecture: "x86_64", OS: "linux" },
      Resources: {
        NanoCPUs: 2e9,
        MemoryBytes: 1e9,
        GenericResources: [{ DiscreteResourceSpec: { Kind: "ssd", Value: 2 } }],
      },
      Engine: {
        EngineVersion: "20.10",
        Labels: { a: "b" },
        Plugins: [{ Type: "Log", Name: "json-file" }],
      },
      TLSInfo: { TrustRoot: "pem", CertIssuerSubject: "eA==", CertIssuerPublicKey: "eA==" },
    },
  });
  const front = tx.byName("network", "front")!;
  tx.update("network", { ...front, Gateways: { node1: "10.9.0.2" } });
  let tasks = 0;
  for (const service of [...tx.all("service")]) {
    const name = service.Spec.Name!;
    const ID = name === "web" ? "task1" : `task${10 + ++tasks}`;
    const updated: Service = {
      ...service,
      PreviousSpec: withDefaults(service.Spec),
      Endpoint: {
        ...service.Endpoint,
        VirtualIPs: [{ NetworkID: front.ID, Addr: "10.9.0.3/24" }],
      },
      ...(name === "web"
        ? {
          UpdateStatus: {
            State: "completed" as const,
            StartedAt: time,
            CompletedAt: time,
            Message: "update completed",
          },
        }
        : {}),
    };
    tx.update("service", updated);
    tx.create("task", taskOf(updated, ID, front.ID, time));
  }
}

function taskOf(
  service: Service,
  ID: string,
  network: string,
  time: string,
): Omit<Task, "Version" | "CreatedAt" | "UpdatedAt"> {
  return {
    ID,
    Spec: service.Spec.TaskTemplate!,
    ServiceID: service.ID,
    ServiceAnnotations: { Name: service.Spec.Name!, Labels: { a: "b" } },
    Slot: 1,
    NodeID: "node1",
    Status: {
      Timestamp: time,
      State: "running",
      Message: "started",
      Err: "none",
      ContainerStatus: { ContainerID: "c".repeat(64), PID: 7, ExitCode: 0 },
      PortStatus: { Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 32768 }] },
    },
    DesiredState: "running",
    NetworksAttachments: [{ NetworkID: network, Name: "front", Addresses: ["10.9.0.4/24"] }],
    GenericResources: [{ DiscreteResourceSpec: { Kind: "ssd", Value: 1 } }],
    ...(service.JobStatus ? { JobIteration: service.JobStatus.JobIteration } : {}),
  };
}
