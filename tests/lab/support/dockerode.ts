/** What programs written with dockerode do with a swarm. */
import { Buffer } from "node:buffer";
// @ts-types="./dockerode.d.ts"
import Docker from "dockerode";
import { until } from "../../support/until.ts";

/** Machines that do much else at the time are slow, and no proof of anything. */
const PATIENCE_MS = 120_000;

type Events = ReturnType<Docker["getEvents"]> extends Promise<infer S> ? S : never;

/** Does all of it on the cluster behind a socket; one line for each thing that it found. */
export async function useDockerode(socketPath: string): Promise<string[]> {
  const docker = new Docker({ socketPath });
  const found: string[] = [];
  const say = (...words: unknown[]) => {
    found.push(
      words.map((word) => typeof word === "string" ? word : JSON.stringify(word)).join(" "),
    );
  };
  const events = await docker.getEvents({ filters: { type: ["service", "network", "secret"] } });
  const seen = collected(events);
  try {
    await cluster(docker, say);
    await workload(docker, say);
    const wanted = ["secret create", "network create", "service create", "service remove"];
    await until("the events", async () => {
      const kinds = seen.text().split("\n").filter(Boolean).map((line) => {
        const { Type, Action } = JSON.parse(line) as { Type: string; Action: string };
        return `${Type} ${Action}`;
      });
      return wanted.every((kind) => kinds.includes(kind));
    }, PATIENCE_MS);
    say("events", wanted);
  } finally {
    events.destroy();
  }
  return found;
}

type Say = (...words: unknown[]) => void;

async function cluster(docker: Docker, say: Say): Promise<void> {
  say("ping", String(await docker.ping()));
  const swarm = await docker.swarmInspect();
  await docker.swarmUpdate({
    version: swarm.Version.Index,
    rotateWorkerToken: true,
    ...swarm.Spec,
  });
  const after = await docker.swarmInspect();
  say("swarm", after.Spec.Name, after.JoinTokens.Worker !== swarm.JoinTokens.Worker);
  const [node] = await docker.listNodes({ filters: { role: ["manager"] } });
  const { Version, Spec } = await docker.getNode(node!.ID).inspect();
  const labels = { ...Spec.Labels, rack: "r1" };
  await docker.getNode(node!.ID).update({ version: Version.Index, ...Spec, Labels: labels });
  const [labelled] = await docker.listNodes({ filters: { "node.label": ["rack=r1"] } });
  say("node", labelled!.ID === node!.ID, (await docker.info()).Swarm.NodeID === node!.ID);
}

async function workload(docker: Docker, say: Say): Promise<void> {
  const data = Buffer.from("hunter3").toString("base64");
  const secret = await docker.createSecret({ Name: "key", Labels: {}, Data: data });
  const config = await docker.createConfig({ Name: "settings", Labels: { team: "a" }, Data: data });
  const network = await docker.createNetwork({ Name: "back", Driver: "overlay", Attachable: true });
  say(
    "objects",
    (await docker.listSecrets({ filters: { name: ["key"] } })).length,
    (await docker.listConfigs({ filters: { label: ["team=a"] } }))[0]!.Spec,
    (await network.inspect()).Scope,
  );
  const service = await docker.createService({
    Name: "web",
    Labels: { team: "a" },
    TaskTemplate: {
      ContainerSpec: {
        Image: "busybox:latest",
        Command: ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"],
        StopGracePeriod: 1e9,
        Secrets: [{
          SecretID: secret.id,
          SecretName: "key",
          File: { Name: "key", UID: "0", GID: "0", Mode: 0o444 },
        }],
      },
      Networks: [{ Target: "back" }],
    },
    Mode: { Replicated: { Replicas: 2 } },
    EndpointSpec: { Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8090 }] },
  });
  const tasks = await running(docker, "web", 2);
  const task = await docker.getTask(tasks[0]!.ID).inspect();
  say(
    "task",
    task.Status.State,
    (task.NetworksAttachments ?? []).map(({ Network }) => Network.Spec.Name).sort(),
  );
  const networks = await docker.listNetworks({ filters: { scope: ["swarm"] } });
  const { Endpoint } = await service.inspect();
  const names = (Endpoint.VirtualIPs ?? []).map(({ NetworkID }) =>
    networks.find(({ Id }) => Id === NetworkID)?.Name
  );
  say("virtual addresses", names.sort());

  const exec = await docker.getContainer(task.Status.ContainerStatus!.ContainerID)
    .exec({ Cmd: ["sh", "-c", "cat /run/secrets/key; exit 3"], AttachStdout: true });
  const output = collected(await exec.start({}), docker);
  await output.ended;
  say("exec", output.text(), (await exec.inspect()).ExitCode);
  const logs = await service.logs({ stdout: true, stderr: true, follow: true });
  const lines = collected(logs, docker);
  await until(
    "the logs of both",
    async () => lines.text().split("\n").filter(Boolean).sort().join() === "err,err,out,out",
    PATIENCE_MS,
  );
  logs.destroy();
  say("logs", 4);

  const { Version, Spec } = await service.inspect();
  await service.update({ ...Spec, version: Version.Index, Mode: { Replicated: { Replicas: 1 } } });
  await running(docker, "web", 1);
  await until("one task is counted", async () => {
    const [listed] = await docker.listServices({ filters: { name: ["web"] }, status: true });
    return listed!.ServiceStatus!.RunningTasks === 1;
  }, PATIENCE_MS);
  say("scaled", 1);
  const refusal = await service.update({ ...Spec, version: Version.Index }).then(
    () => "none",
    (error: { statusCode?: number; json?: { message?: string } }) =>
      `${error.statusCode} ${error.json?.message}`,
  );
  say("stale", refusal);
  await service.remove();
  await until("no task is left", async () => (await docker.listTasks()).length === 0, PATIENCE_MS);
  await secret.remove();
  await config.remove();
  await until(
    "the network is free",
    () => network.remove().then(() => true, () => false),
    PATIENCE_MS,
  );
  const gone = await docker.getService("web").inspect().then(
    () => "there",
    (error: { statusCode?: number }) => error.statusCode,
  );
  say("gone", gone!);
}

/** The service's tasks once so many run, and no others shall. */
async function running(docker: Docker, service: string, count: number) {
  let tasks: Awaited<ReturnType<Docker["listTasks"]>> = [];
  await until(`${count} tasks run`, async () => {
    tasks = await docker.listTasks({
      filters: { service: [service], "desired-state": ["running"] },
    });
    return tasks.length === count && tasks.every(({ Status }) => Status.State === "running");
  }, PATIENCE_MS);
  return tasks;
}

/** What comes of a stream, both parts of a multiplexed one together. */
function collected(from: Events, multiplexed?: Docker) {
  const chunks: Uint8Array[] = [];
  const sink = { write: (chunk: Uint8Array) => chunks.push(chunk) > 0 };
  if (multiplexed) multiplexed.modem.demuxStream(from, sink, sink);
  else from.on("data", (chunk) => sink.write(chunk));
  const ended = new Promise<void>((resolve) => {
    for (const event of ["end", "error", "close"] as const) from.on(event, resolve);
  });
  return { text: () => Buffer.concat(chunks).toString(), ended };
}
