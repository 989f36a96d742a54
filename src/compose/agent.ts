import { dirname } from "node:path";
import { setImmediate } from "node:timers";
import type { Duplex } from "../base/duplex.ts";
import type { AgentOptions, BuildInfo } from "../../cli/environment.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Tracer } from "../base/tracer.ts";
import { Figures, metricsOf } from "./figures.ts";
import { apiByUser, startUi } from "./front_ends.ts";
import { tracedExecutor, tracerOf } from "./tracing.ts";
import { agentUpgrader, beginTrial } from "./upgrades.ts";
import { nodeAnswers } from "./node_answers.ts";
import { settingsLogLevel } from "./settings_file.ts";
import { issuerOf } from "../core/pki/roots.ts";
import { probe, signExternally } from "../adapters/cfssl/external_ca.ts";
import { openBackup, sealBackup } from "../adapters/crypto/backup_file.ts";
import * as certificates from "../adapters/crypto/certificates.ts";
import { serveTls } from "../adapters/api_tls/server.ts";
import { DnsServer } from "../adapters/dns/server.ts";
import { HostResolvers } from "../adapters/dns/host_resolvers.ts";
import { containerReader } from "../adapters/docker/container_reader.ts";
import { Engine, socketPath } from "../adapters/docker/engine.ts";
import { checkEngine, DockerExecutor } from "../adapters/docker/executor.ts";
import { SeenContainers } from "../adapters/docker/seen_containers.ts";
import { TaskFiles } from "../adapters/docker/task_files.ts";
import { inboundConnections } from "../adapters/host/connections.ts";
import {
  ensurePrivateDirectory,
  lockDirectory,
  stateFiles,
} from "../adapters/host/data_directory.ts";
import { DataKeys } from "../adapters/host/data_keys.ts";
import { SealableFiles } from "../adapters/host/sealable_files.ts";
import { processLogger } from "../adapters/host/logger.ts";
import type { ProcessLogger } from "../adapters/host/logger.ts";
import { realClock, realInterfaces, realRandom } from "../adapters/host/real_clock.ts";
import { datagramSender, ServiceManager } from "../adapters/host/service_manager.ts";
import { serveUnixSocket } from "../adapters/host/unix_server.ts";
import { IpvsHost } from "../adapters/network/ipvs_host.ts";
import { DirectHost } from "../adapters/network/direct_host.ts";
import { OverlayHost } from "../adapters/network/overlay_host.ts";
import { DatagramRelay } from "../adapters/network/datagram_relay.ts";
import { EngineProxy } from "../adapters/network/engine_proxy.ts";
import { PortRelay } from "../adapters/network/port_relay.ts";
import { connectAnonymously, rpcDialer } from "../adapters/rpc/client.ts";
import { RaftEndpoint } from "../adapters/rpc/raft_transport.ts";
import { Routes } from "../adapters/rpc/routes.ts";
import { listenRpc } from "../adapters/rpc/server.ts";
import { RaftLogStore } from "../adapters/sqlite/raft_log_store.ts";
import { WorkerTaskStore } from "../adapters/sqlite/worker_task_store.ts";
import type { Upgrader } from "../adapters/upgrade/upgrader.ts";
import { isRemoteContainer } from "../api/routes/remote_containers.ts";
import { remoteExchange } from "../api/routes/remote_exchange.ts";
import { serveConnection } from "../api/front/front.ts";
import { Agent } from "../roles/agent/agent.ts";
import { AttachedContainers } from "../roles/agent/attached_containers.ts";
import type { NodeAnswers } from "../roles/agent/questions.ts";
import { NAME_PORT } from "../core/network/relayed_ports.ts";
import { NetworkSync } from "../roles/agent/network_sync.ts";
import { DirectPaths } from "../roles/agent/direct_paths.ts";
import { OffloadProbe } from "../roles/agent/offload_probe.ts";
import { ClusterWork } from "../roles/manager/dispatcher_server.ts";
import { FleetNode } from "../roles/node/fleet_node.ts";
import type { AgentHost, RunningAgent } from "../roles/node/fleet_node.ts";
import type { OverlaySupport } from "../model/node.ts";
import type { NodeNetwork, Trust } from "../roles/node/ports.ts";
import { SessionTransport } from "../roles/node/session_transport.ts";

/** What this node's API shows of its own parts; they come and go with membership. */
interface Local {
  readonly tracer: Tracer | undefined;
  readonly figures: Figures;
  networks?: NetworkSync;
  support?: (signal: AbortSignal) => Promise<OverlaySupport>;
  announceRestart?: () => Promise<void>;
}

/** A stop that takes longer is ended hard, so that a service manager does not have to. */
const STOP_TIMEOUT_MS = 4_500;
/** The managers hear of a restart by then, or not at all. */
const ANNOUNCE_TIMEOUT_MS = 1_000;

/** Is the agent of this machine until SIGTERM or SIGINT; resolves to the exit code. */
export async function runAgent(options: AgentOptions, build: BuildInfo): Promise<number> {
  const logger = processLogger(options.logLevel, options.logFormat);
  const serviceManager = new ServiceManager({
    variable: (name) => Deno.env.get(name),
    send: datagramSender(dirname(options.socket)),
    clock: realClock,
    logger,
  });
  ensurePrivateDirectory(options.dataDir, options);
  const lock = lockDirectory(options.dataDir);
  const engine = new Engine(socketPath(options.dockerHost));
  const stopped = Promise.withResolvers<number>();
  const figures = new Figures(
    await metricsOf(options, databasesIn(options.dataDir), build, logger),
  );
  figures.measureEngine(engine);
  const local: Local = { figures, tracer: await tracerOf(build) };
  const upgrader = agentUpgrader(options, build, logger, () => {
    const end = () => stopped.resolve(0);
    setTimeout(end, ANNOUNCE_TIMEOUT_MS);
    void local.announceRestart?.().then(end);
    if (!local.announceRestart) end();
  });
  const parts = { options, build, engine, upgrader };
  const answers = nodeAnswers({
    ...parts,
    localState: () => node.localState(),
    overlaySupport: () => local.support,
    networks: () => local.networks?.state(),
  });
  const node = createNode({ ...parts, answers, logger, local }, (error) => {
    logger.log("error", messageOf(error));
    stopped.resolve(1);
  });
  const api = apiByUser(node, engine, {
    uiLinks: () => ui?.links,
    networks: () => local.networks?.state(),
    meter: figures.meter,
    tracer: local.tracer,
  });
  const ui = await startUi(options, node, api);
  const metrics = figures.serve(node);
  const dialEngine = () => engine.dial();
  const isRemote = (container: string) => isRemoteContainer(node, container);
  const serve = (connection: Duplex, user: string) =>
    serveConnection(connection, {
      app: api(user),
      dialEngine,
      logger,
      isRemote,
      openRemote: (head) => remoteExchange(node, head),
      clock: realClock,
    });
  const server = await serveUnixSocket(options.socket, serve);
  const tcp = options.tcp && serveTls({
    address: options.tcp.address,
    files: options.tcp,
    clock: realClock,
    logger,
  }, serve);
  logger.log("info", "fleet agent is up", {
    socket: options.socket,
    engine: engine.socket,
    ...(tcp ? { tcp: tcp.address } : {}),
    version: build.version,
  });
  const onSignal = () => stopped.resolve(0);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, onSignal);
  const reloads = () => {
    node.reloadCredentials();
    tcp?.reload();
  };
  Deno.addSignalListener("SIGHUP", () => void reload(options, reloads, logger, serviceManager));
  await node.start();
  const endTrial = beginTrial(upgrader, node, logger, () => stopped.resolve(1));
  await serviceManager.ready(`API on ${options.socket}`);
  const code = await stopped.promise;
  endTrial();
  await serviceManager.stopping();
  logger.log("info", "stopping; containers go on running");
  const hard = setTimeout(() => Deno.exit(code), STOP_TIMEOUT_MS);
  await ui?.close();
  await metrics?.close();
  await node.stop();
  server.close();
  tcp?.close();
  engine.close();
  lock.release();
  clearTimeout(hard);
  return code;
}

/** SIGHUP: takes the log level from the settings file, and all certificates from their files. */
async function reload(
  { settingsFile, logLevel }: AgentOptions,
  certificates: () => void,
  logger: ProcessLogger,
  serviceManager: ServiceManager,
): Promise<void> {
  await serviceManager.reloading();
  try {
    const level = settingsLogLevel(readIfThere(settingsFile), settingsFile) ?? logLevel;
    logger.setLevel(level);
    certificates();
    logger.log("info", "settings reloaded", { logLevel: level });
  } catch (error) {
    logger.log("error", `not reloaded: ${messageOf(error)}`);
  }
  await serviceManager.ready("reloaded");
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

interface NodeParts {
  readonly options: AgentOptions;
  readonly build: BuildInfo;
  readonly engine: Engine;
  readonly upgrader: Upgrader;
  readonly answers: NodeAnswers;
  readonly logger: Logger;
  readonly local: Local;
}

function createNode(parts: NodeParts, onFatal: (error: unknown) => void): FleetNode {
  const { options, build, engine, answers, logger, local } = parts;
  const files = new SealableFiles(stateFiles(options.dataDir, options));
  const raft = new RaftEndpoint({ clock: realClock, random: realRandom, logger });
  const logPath = raftPath(options.dataDir);
  const databases = new DataKeys({
    files,
    paths: [logPath, workerPath(options.dataDir)],
    exists,
    logger,
  });
  return new FleetNode({
    build,
    files,
    lock: files,
    rotateDataKey: () => databases.rotate(),
    trust,
    externalCa: (credentials) => ({
      sign: (cas, trustPem, request) => signExternally(cas, trustPem, credentials(), request),
      probe: (ca, trustPem) => probe(ca, trustPem, credentials()),
    }),
    answers,
    archive: { seal: sealBackup, open: openBackup },
    network: nodeNetwork(logger),
    interfaces: realInterfaces,
    clock: realClock,
    random: realRandom,
    logger,
    meter: local.figures.meter,
    tracer: local.tracer,
    onManager: (manager) => local.figures.manager = manager,
    // A timer of 0 ms waits for 1: three of them would be most of a write's latency.
    defer: (fn) => void setImmediate(fn),
    tickMs: options.raftTickMs,
    listenAddr: options.listenAddr,
    openLog: (fresh) => {
      const keys = databases.keys();
      return databases.opened(
        logPath,
        fresh ? RaftLogStore.create(logPath, keys) : RaftLogStore.open(logPath, keys),
      );
    },
    wipeLog: () => {
      RaftLogStore.remove(logPath);
      databases.forgetUnreadable(WorkerTaskStore.remove);
    },
    openTransport: (given) => raft.open(given),
    registerTransport: (table) => raft.register(table),
    createLeaderWork: (manager) =>
      new ClusterWork({
        store: manager.store,
        writer: manager.writer,
        clock: realClock,
        random: realRandom,
        logger,
        meter: local.figures.meter,
        tracer: local.tracer,
        managers: () => manager.members().map(({ nodeId, addr }) => ({ nodeId, addr })),
        caDigest: trust.caDigest,
        caIssuer: (caPem) => issuerOf(certificates.rootNames(caPem)),
      }),
    startAgent: (host) => startAgent(host, parts, databases),
    checkEngine: () => checkEngine(engine),
    onFatal,
  });
}

/** A node that leaves asks its engine for this long whose network goes. */
const ENGINE_TIMEOUT_MS = 5_000;

async function startAgent(
  host: AgentHost,
  { options, engine, upgrader, answers, logger, local }: NodeParts,
  databases: DataKeys,
): Promise<RunningAgent> {
  const path = workerPath(options.dataDir);
  const store = databases.opened(path, WorkerTaskStore.open(path, databases.keys()));
  const folder = `${dirname(options.socket)}/fleet-tasks-${host.nodeId}`;
  const files: TaskFiles = new TaskFiles(folder, {
    secret: (id) => agent.worker.secret(id),
    config: (id) => agent.worker.config(id),
  });
  const networks = overlayNetworks(host, options, engine, logger);
  local.networks = networks.sync;
  local.figures.agent = networks.facts;
  local.support = networks.support;
  const executor: DockerExecutor = new DockerExecutor({
    engine,
    logger,
    nodeId: host.nodeId,
    hostname: options.hostname,
    files,
    overlays: networks.sync,
    overlaySupport: networks.support,
  });
  if (local.tracer) tracedExecutor(executor, host.nodeId, local.tracer);
  const look = new SeenContainers(engine);
  const attached = new AttachedContainers({
    look,
    places: host.attachments,
    tasks: () => agent.worker.tasks().map(({ task, status }) => ({ ...task, Status: status })),
    clock: realClock,
    logger,
  });
  const agent: Agent = new Agent({
    transport: new SessionTransport({ dialer: host.dialer, managers: () => host.managers() }),
    executor,
    store,
    clock: realClock,
    random: realRandom,
    logger: logger.with({ node: host.nodeId }),
    networks: networks.sync,
    attached: async (signal) => void await Promise.all([look.run(signal), attached.run(signal)]),
    reader: containerReader(engine),
    connections: { inbound: inboundConnections, remembered: networks.remembered },
    node: answers,
    onSession: (session) => {
      upgrader.confirm();
      host.onSession(session);
    },
    tls: { info: () => host.tlsInfo(), onChange: (listener) => host.onTlsChange(listener) },
  });
  await agent.start();
  local.announceRestart = () => agent.announceRestart();
  let open = true;
  const stop = async () => {
    if (!open) return;
    open = false;
    delete local.announceRestart;
    await agent.stop();
    await networks.close();
    store.close();
  };
  return {
    stop,
    attached: () => attached.running(AbortSignal.timeout(ENGINE_TIMEOUT_MS)).catch(() => []),
    removeTasks: async () => {
      await stop();
      const signal = AbortSignal.timeout(30_000);
      try {
        for (const id of await executor.taskIds(signal)) await executor.removeUnknown(id, signal);
        await networks.sync.removeAll(signal);
      } finally {
        // Secrets stay on no node that has left.
        await files.dispose();
        WorkerTaskStore.remove(path);
      }
    },
  };
}

function overlayNetworks(
  host: AgentHost,
  options: AgentOptions,
  engine: Engine,
  logger: Logger,
) {
  const names = new DnsServer({
    clock: realClock,
    random: realRandom,
    resolvers: new HostResolvers("/etc/resolv.conf", realClock),
  });
  const ipvs = new IpvsHost({ backend: options.meshBackend, logger });
  const relays = {
    tcp: new PortRelay({ logger }),
    udp: new DatagramRelay({ clock: realClock, logger }),
    sctp: new EngineProxy({ clock: realClock, logger }),
  };
  const machine = new OverlayHost(
    engine,
    ipvs,
    (port) => port === NAME_PORT || relays.tcp.listensAt(port),
  );
  const sync = new NetworkSync({
    nodeId: host.nodeId,
    dataPathAddr: host.dataPathAddr,
    apiPort: host.apiPort,
    host: machine,
    names,
    relays,
    paths: new OffloadProbe({ host: machine, clock: realClock, logger }),
    direct: new DirectPaths({ host: new DirectHost(engine), clock: realClock, logger }),
    clock: realClock,
    logger,
  });
  return {
    sync,
    facts: () => ({ networks: sync.state(), dns: { ...names.stats } }),
    support: async (signal: AbortSignal): Promise<OverlaySupport> => {
      const { mesh, problems } = sync.state();
      return {
        ...await machine.support(host.dataPathAddr, signal),
        ...(mesh ? { Mesh: mesh } : {}),
        ...(Object.keys(problems).length > 0 ? { Problems: Object.values(problems) } : {}),
      };
    },
    remembered: (addresses: readonly string[], signal: AbortSignal) =>
      machine.remembers(addresses, signal),
    close: async () => {
      await Promise.all(Object.values(relays).map((relay) => relay.close()));
      await names.close();
    },
  };
}

const trust: Trust = {
  createRootCa: certificates.createRootCa,
  checkRootCa: certificates.checkRootCa,
  crossSign: certificates.crossSign,
  checkCrossSigned: certificates.checkCrossSigned,
  createKeyAndCsr: certificates.createKeyAndCsr,
  createCaCsr: certificates.createCaCsr,
  requestKeyId: certificates.requestKeyId,
  issue: certificates.issue,
  verify: certificates.verifyCertificate,
  inspect: certificates.inspect,
  caDigest: certificates.caDigest,
  belongTogether: certificates.belongTogether,
  signText: certificates.signText,
  signedText: certificates.signedText,
  equal: certificates.equalTexts,
};

function nodeNetwork(logger: Logger): NodeNetwork {
  return {
    listen: async ({ address, credentials, clusterId, register, refuse }) => {
      const routes = new Routes();
      register(routes);
      return await listenRpc({
        address,
        credentials,
        clusterId,
        routes,
        refuse,
        clock: realClock,
        logger,
      });
    },
    dialer: (credentials, clusterId) => rpcDialer({ credentials, clusterId, clock: realClock }),
    dialAnonymously: (address, caPem) => connectAnonymously(address, { clock: realClock, caPem }),
  };
}

const raftPath = (dataDir: string) => `${dataDir}/raft.db`;
const workerPath = (dataDir: string) => `${dataDir}/worker.db`;
const databasesIn = (dataDir: string) => ({
  raft: raftPath(dataDir),
  worker: workerPath(dataDir),
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
