/**
 * What programs written for Swarm that are no Debian packages ask of a manager, and which fields of the answers they
 * read: taken from their public sources.
 */

export interface Query {
  /** Method and target; `{service}`, `{node}` and `{stack}` stand for what the caller made. */
  readonly request: string;
  /** Bodies that are no JSON have to match this. */
  readonly text?: RegExp;
  /** Paths to what is read, and of which kind it has to be: `[]` goes into every member, `[?]` into at least one. */
  readonly fields?: string;
}

export interface KnownClient {
  readonly name: string;
  /** Where it is to be read what it asks. */
  readonly source: string;
  readonly queries: readonly Query[];
}

const filters = (value: unknown) => encodeURIComponent(JSON.stringify(value));

/** Fields of services that every dashboard shows. */
const SERVICE = `
  [].ID string
  [].Version.Index number
  [].CreatedAt string
  [].UpdatedAt string
  [].Spec.Name string
  [].Spec.Labels object
  [].Spec.Mode object
  [].Spec.TaskTemplate.ContainerSpec.Image string
  [?].Spec.Mode.Replicated.Replicas number
  [?].Spec.TaskTemplate.ContainerSpec.Args[] string
  [?].Spec.TaskTemplate.ContainerSpec.Env[] string
  [?].Spec.TaskTemplate.ContainerSpec.Mounts[].Target string
  [?].Spec.TaskTemplate.ContainerSpec.Mounts[].Source string
  [?].Spec.TaskTemplate.ContainerSpec.Mounts[].Type string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].SecretID string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].SecretName string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].File.Name string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].File.UID string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].File.GID string
  [?].Spec.TaskTemplate.ContainerSpec.Secrets[].File.Mode number
  [?].Spec.TaskTemplate.ContainerSpec.Configs[].ConfigID string
  [?].Spec.TaskTemplate.ContainerSpec.Configs[].ConfigName string
  [?].Spec.TaskTemplate.ContainerSpec.Configs[].File.Name string
  [?].Spec.TaskTemplate.ContainerSpec.DNSConfig object
  [?].Spec.TaskTemplate.ContainerSpec.StopGracePeriod number
  [?].Spec.TaskTemplate.Placement.Constraints[] string
  [?].Spec.TaskTemplate.Networks[].Target string
  [?].Spec.TaskTemplate.Resources.Limits.MemoryBytes number
  [?].Spec.TaskTemplate.Resources.Reservations.NanoCPUs number
  [?].Spec.TaskTemplate.RestartPolicy.Condition string
  [?].Spec.TaskTemplate.RestartPolicy.Delay number
  [?].Spec.TaskTemplate.RestartPolicy.MaxAttempts number
  [?].Spec.TaskTemplate.LogDriver.Name string
  [?].Spec.TaskTemplate.LogDriver.Options object
  [].Spec.TaskTemplate.ForceUpdate number
  [].Spec.TaskTemplate.Runtime string
  [?].Spec.UpdateConfig.Parallelism number
  [?].Spec.UpdateConfig.Delay number
  [?].Spec.UpdateConfig.FailureAction string
  [?].Spec.UpdateConfig.Order string
  [?].Endpoint.Ports[].TargetPort number
  [?].Endpoint.Ports[].PublishedPort number
  [?].Endpoint.Ports[].Protocol string
  [?].Endpoint.Ports[].PublishMode string
  [?].Endpoint.VirtualIPs[].NetworkID string
  [?].Endpoint.VirtualIPs[].Addr address`;
const TASK = `
  [].ID string
  [].Version.Index number
  [].CreatedAt string
  [].UpdatedAt string
  [].ServiceID string
  [].NodeID string
  [].Slot number
  [].DesiredState string
  [].Status.State string
  [].Status.Timestamp string
  [].Status.Message string
  [].Status.ContainerStatus.ContainerID string
  [].Spec.ContainerSpec.Image string`;
const NODE = `
  [].ID string
  [].Version.Index number
  [].CreatedAt string
  [].UpdatedAt string
  [].Spec.Role string
  [].Spec.Availability string
  [].Spec.Labels object
  [].Status.State string
  [].Status.Addr string
  [].Description.Hostname string
  [].Description.Platform.Architecture string
  [].Description.Platform.OS string
  [].Description.Resources.NanoCPUs number
  [].Description.Resources.MemoryBytes number
  [].Description.Engine.EngineVersion string
  [].Description.Engine.Plugins[].Type string
  [].Description.Engine.Plugins[].Name string
  [?].ManagerStatus.Leader boolean
  [?].ManagerStatus.Reachability string
  [?].ManagerStatus.Addr string`;
const NETWORK = `
  [].Id string
  [].Name string
  [].Created string
  [].Scope string
  [].Driver string
  [].Internal boolean
  [].Attachable boolean
  [].Ingress boolean
  [].Labels object
  [].IPAM object
  [?].IPAM.Config[].Subnet string
  [?].IPAM.Config[].Gateway string`;
const FILE = `
  [].ID string
  [].Version.Index number
  [].CreatedAt string
  [].UpdatedAt string
  [].Spec.Name string
  [].Spec.Labels object`;
const ENGINE_VERSION = `
  Version string
  ApiVersion string
  Components[].Name string`;

/** One member of a list, as the routes of single objects give it. */
const single = (fields: string) =>
  fields.replace(/^ *\[\]\./gm, "").replace(/^ *\[\?\]\..*$/gm, "");

export const KNOWN_CLIENTS: readonly KnownClient[] = [
  {
    name: "Traefik",
    source: "traefik/traefik: pkg/provider/docker/pswarm.go",
    queries: [
      { request: "HEAD /_ping" },
      { request: "GET /v1.41/version", fields: ENGINE_VERSION },
      {
        request: "GET /v1.41/services",
        fields: `
          [].ID string
          [].Spec.Name string
          [].Spec.Labels object
          [].Spec.Mode object
          [?].Spec.EndpointSpec.Mode string
          [?].Endpoint.VirtualIPs[].NetworkID string
          [?].Endpoint.VirtualIPs[].Addr address`,
      },
      {
        request: `GET /v1.41/networks?filters=${filters({ scope: { swarm: true } })}`,
        fields: "[].Id string\n[].Name string",
      },
      {
        request: `GET /v1.24/networks?filters=${filters({ driver: ["overlay"] })}`,
        fields: "[].Id string\n[].Name string",
      },
      {
        request: `GET /v1.41/tasks?filters={service}`,
        fields: `
          [].ID string
          [].Slot number
          [].NodeID string
          [].Status.State string
          [].NetworksAttachments[].Network.ID string
          [].NetworksAttachments[].Addresses[] address`,
      },
      { request: "GET /v1.41/nodes/{node}", fields: "ID string\nStatus.Addr string" },
    ],
  },
  {
    name: "Portainer",
    source: "portainer/portainer: pkg/snapshot/docker.go, app/docker/models, app/docker/rest",
    queries: [
      { request: "GET /_ping", text: /^OK$/ },
      {
        request: "GET /v1.41/info",
        fields: `
          ServerVersion string
          NCPU number
          MemTotal number
          Plugins.Volume[] string
          Plugins.Network[] string
          Plugins.Log[] string
          Swarm.NodeID string
          Swarm.ControlAvailable boolean
          Swarm.LocalNodeState string
          Swarm.RemoteManagers[].Addr string
          Swarm.Cluster.ID string`,
      },
      { request: "GET /version", fields: ENGINE_VERSION },
      { request: "GET /swarm", fields: "ID string\nSpec.Name string\nVersion.Index number" },
      { request: "GET /nodes", fields: NODE },
      { request: "GET /services", fields: SERVICE },
      {
        request: `GET /services?filters=${
          filters({ label: ["com.docker.stack.namespace=shop"] })
        }&status=true`,
        fields: SERVICE + "\n[].ServiceStatus.RunningTasks number",
      },
      { request: "GET /services/{service-id}", fields: single(SERVICE) },
      {
        request: `GET /tasks?filters=${filters({ label: ["com.docker.stack.namespace=shop"] })}`,
        fields: TASK,
      },
      { request: "GET /tasks?filters={service}", fields: TASK },
      { request: "GET /networks", fields: NETWORK },
      { request: "GET /secrets", fields: FILE },
      { request: "GET /configs", fields: FILE + "\n[].Spec.Data string" },
      { request: "GET /containers/json?all=1", fields: "[].Id string\n[].State string" },
      { request: "GET /images/json", fields: "[].Id string" },
      { request: "GET /volumes", fields: "Volumes[].Name string" },
      { request: "GET /plugins" },
      {
        request: "GET /services/{service-id}/logs?stdout=1&stderr=1&since=0&tail=100&timestamps=0",
        text: /ready to sell/,
      },
      { request: "GET /events?since=0&until=1" },
      {
        request: "GET /system/df",
        fields: "Images[].Id string\nContainers[].Id string\nVolumes[].Name string",
      },
    ],
  },
  {
    name: "Swarmpit",
    source:
      "swarmpit/swarmpit: src/clj/swarmpit/docker/engine/client.clj, mapper/inbound.clj, log.clj",
    queries: [
      { request: "GET /v1.30/version", fields: "Version string\nApiVersion string" },
      { request: "GET /v1.30/services", fields: SERVICE },
      {
        request: `GET /v1.30/services?filters=${
          filters({ label: ["com.docker.stack.namespace=shop"] })
        }`,
        fields: SERVICE,
      },
      { request: "GET /v1.30/services/{service-id}", fields: single(SERVICE) },
      { request: "GET /v1.30/tasks", fields: TASK },
      {
        request: `GET /v1.30/tasks?filters=${
          filters({ node: ["{node}"], "desired-state": ["running"] })
        }`,
        fields: TASK,
      },
      { request: "GET /v1.30/nodes", fields: NODE },
      { request: "GET /v1.30/nodes/{node}", fields: single(NODE) },
      { request: "GET /v1.30/networks", fields: NETWORK },
      {
        request: `GET /v1.30/networks?filters=${
          filters({ label: ["com.docker.stack.namespace=shop"] })
        }`,
        fields: NETWORK,
      },
      {
        request: `GET /v1.30/volumes?filters=${
          filters({ label: ["com.docker.stack.namespace=shop"] })
        }`,
        fields: "Volumes[].Name string\nVolumes[].Driver string\nVolumes[].Mountpoint string",
      },
      { request: "GET /v1.30/secrets", fields: FILE },
      { request: "GET /v1.30/configs", fields: FILE + "\n[].Spec.Data string" },
      { request: "GET /v1.30/images/busybox:latest/json", fields: "Config object" },
      {
        request:
          "GET /v1.30/services/{service-id}/logs?details=true&stdout=true&stderr=true&timestamps=true&tail=2000",
        text:
          /(19|20)\d{2}[.:\-TZ0-9]* \S*com\.docker\.swarm\.task\.id=[a-z0-9]+\S* ready to sell\n/,
      },
    ],
  },
];

/** What of the fields that are read is missing or of another kind, in sentences. */
export function missingFields(answer: unknown, fields: string): string[] {
  return fields.split("\n").map((line) => line.trim()).filter(Boolean).flatMap((line) => {
    const [path = "", kind = ""] = line.split(" ");
    const wrong = look(answer, path.match(/\[\??\]|[^.[\]]+/g) ?? [], kind);
    return wrong === undefined ? [] : [`${path} is ${wrong}, not ${kind}`];
  });
}

/** What stands at the path instead of a value of that kind; undefined when all is well. */
function look(value: unknown, path: readonly string[], kind: string): string | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return kindOf(value, kind) === kind ? undefined : kindOf(value, kind);
  if (step === "[]" || step === "[?]") {
    if (!Array.isArray(value) || value.length === 0) return "an empty list or none";
    const wrong = value.map((member) => look(member, rest, kind));
    return step === "[]" || wrong.every((what) => what !== undefined)
      ? wrong.find((what) => what !== undefined)
      : undefined;
  }
  if (typeof value !== "object" || value === null) return "absent";
  return look((value as Record<string, unknown>)[step], rest, kind);
}

/** Go's clients parse addresses with a length, and refuse the whole answer for one that is none. */
function kindOf(value: unknown, wanted: string): string {
  if (value === undefined) return "absent";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (wanted === "address" && typeof value === "string") {
    return /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(value) ? "address" : `"${value}"`;
  }
  return typeof value;
}
