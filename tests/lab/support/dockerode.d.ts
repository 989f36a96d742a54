/**
 * The part of dockerode that is used here. Its published types bring those of all of Node.js with them, which are
 * not the ones that Deno checks against.
 */
type Json = Record<string, unknown>;

/** Where the parts of a multiplexed stream go. */
interface Sink {
  write(chunk: Uint8Array): boolean;
}

interface Source extends AsyncIterable<Uint8Array> {
  on(event: "data", listener: (chunk: Uint8Array) => void): this;
  on(event: "end" | "error" | "close", listener: () => void): this;
  destroy(): void;
}

interface Task {
  readonly ID: string;
  readonly Slot?: number;
  readonly NodeID: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly ContainerStatus?: { readonly ContainerID: string };
  };
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } };
    readonly Addresses: readonly string[];
  }[];
}

interface Service {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: Json & { readonly Name: string; readonly TaskTemplate: Json };
  readonly Endpoint: {
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr: string }[];
  };
  readonly ServiceStatus?: { readonly RunningTasks: number };
}

interface Handle<T> {
  readonly id: string;
  inspect(): Promise<T>;
  update(options: Json): Promise<unknown>;
  remove(): Promise<unknown>;
}

interface ServiceHandle extends Handle<Service> {
  logs(options: Json): Promise<Source>;
}

interface Named {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: Json & {
    readonly Name: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

interface NodeObject {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: Json & { readonly Labels: Readonly<Record<string, string>> };
  readonly Description: { readonly Hostname: string };
}

export default class Docker {
  constructor(options: { socketPath: string; version?: string });
  readonly modem: { demuxStream(from: Source, stdout: Sink, stderr: Sink): void };
  ping(): Promise<unknown>;
  info(): Promise<{ readonly Swarm: { readonly NodeID: string } }>;
  swarmInspect(): Promise<Named & { readonly JoinTokens: { readonly Worker: string } }>;
  swarmUpdate(options: Json): Promise<unknown>;
  getEvents(options: Json): Promise<Source>;
  listNodes(options?: Json): Promise<NodeObject[]>;
  getNode(id: string): Handle<NodeObject>;
  createSecret(options: Json): Promise<Handle<Named>>;
  listSecrets(options?: Json): Promise<Named[]>;
  createConfig(options: Json): Promise<Handle<Named>>;
  listConfigs(options?: Json): Promise<Named[]>;
  createNetwork(options: Json): Promise<Handle<{ readonly Scope: string; readonly Name: string }>>;
  getNetwork(id: string): Handle<{ readonly Scope: string; readonly Name: string }>;
  listNetworks(options?: Json): Promise<{ readonly Id: string; readonly Name: string }[]>;
  createService(options: Json): Promise<ServiceHandle>;
  getService(id: string): ServiceHandle;
  listServices(options?: Json): Promise<Service[]>;
  listTasks(options?: Json): Promise<Task[]>;
  getTask(id: string): { inspect(): Promise<Task> };
  getContainer(id: string): {
    exec(options: Json): Promise<{
      start(options: Json): Promise<Source>;
      inspect(): Promise<{ readonly ExitCode: number }>;
    }>;
  };
}
