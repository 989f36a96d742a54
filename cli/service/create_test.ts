import assert from "node:assert/strict";
import { answerAnything } from "../testing/answer_anything.ts";
import { FakeAgent } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { assertGolden } from "../testing/golden.ts";

/**
 * Arguments of `service create`. The specs in the golden file were compared with what Docker's client
 * 28.2 sends for the same arguments; they differ only where the file's own checks refuse earlier.
 */
const CASES: readonly (readonly string[])[] = [
  ["nginx"],
  [
    "--name",
    "web",
    "--replicas",
    "3",
    "-e",
    "A=1",
    "--env",
    "B=2",
    "--env",
    "A=3",
    "-l",
    "x=y",
    "-l",
    "z",
    "--container-label",
    "c=d",
    "nginx:1.2",
    "sh",
    "-c",
    "echo --replicas=3",
    "--init=false",
  ],
  [
    "--mode",
    "global",
    "--user",
    "1:2",
    "--workdir",
    "/w",
    "--hostname",
    "h-{{.Task.Slot}}",
    "--entrypoint",
    "/bin/sh -c 'a b'",
    "--stop-grace-period",
    "3s",
    "--stop-signal",
    "SIGINT",
    "--init",
    "--read-only",
    "--tty",
    "nginx",
  ],
  ["--init=false", "--read-only=false", "nginx"],
  ["--mode", "replicated-job", "--replicas", "5", "--max-concurrent", "2", "busybox"],
  ["--mode", "replicated-job", "busybox"],
  ["--mode", "replicated-job", "--replicas", "4", "busybox"],
  ["--mode", "global-job", "busybox"],
  ["--mode", "global", "--replicas", "2", "busybox"],
  ["--max-concurrent", "2", "busybox"],
  ["--mode", "global", "--replicas-max-per-node", "2", "busybox"],
  [
    "--limit-cpu",
    ".5",
    "--limit-memory",
    "64m",
    "--limit-pids",
    "10",
    "--reserve-cpu",
    "1.25",
    "--reserve-memory",
    "1.5GiB",
    "--generic-resource",
    "gpu=2",
    "x/y:1",
  ],
  [
    "--restart-condition",
    "on-failure",
    "--restart-delay",
    "1m30s",
    "--restart-max-attempts",
    "3",
    "--restart-window",
    "10s",
    "n",
  ],
  ["--update-parallelism", "2", "--update-delay", "5s", "n"],
  [
    "--update-failure-action",
    "rollback",
    "--update-max-failure-ratio",
    "0.3",
    "--update-order",
    "start-first",
    "--update-monitor",
    "7s",
    "--rollback-order",
    "start-first",
    "--rollback-parallelism",
    "0",
    "n",
  ],
  [
    "--rollback-failure-action",
    "continue",
    "--rollback-delay",
    "1s",
    "--rollback-monitor",
    "1s",
    "--rollback-max-failure-ratio",
    ".1",
    "n",
  ],
  ["--endpoint-mode", "dnsrr", "n"],
  [
    "-p",
    "80",
    "-p",
    "8080:80",
    "-p",
    "9000-9002:90-92/udp",
    "--publish",
    "published=53,target=53,protocol=udp,mode=host",
    "n",
  ],
  ["-p", "target=80", "n"],
  ["-p", "10.0.0.1:80:80", "n"],
  ["-p", "8080-8081:80", "n"],
  [
    "--mount",
    'type=volume,src=data,dst=/data,volume-label=a=b,volume-driver=local,volume-opt=type=nfs,"volume-opt=o=addr=1.2.3.4,rw",volume-nocopy',
    "--mount",
    "type=bind,source=/a,target=/b,readonly,bind-propagation=rshared",
    "--mount",
    "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
    "n",
  ],
  ["--mount", "source=x,target=/y,ro=true,consistency=cached", "n"],
  ["--mount", "target=/y", "n"],
  ["--mount", "type=bind,target=/y", "n"],
  ["--mount", "type=foo,target=/y", "n"],
  ["--mount", "type=bind,source=/a,target=/y,volume-nocopy=true", "n"],
  ["--mount", "type=bind,source=/a,target=/y,bind-recursive=disabled", "n"],
  ["--mount", "type=volume,source=a,target=/y,volume-subpath=z", "n"],
  [
    "--constraint",
    "node.role==manager",
    "--constraint",
    "node.labels.z!=a",
    "--placement-pref",
    "spread=node.labels.dc",
    "--replicas-max-per-node",
    "2",
    "n",
  ],
  ["--network", "back", "--network", "name=front,alias=a1,alias=a2,driver-opt=k=v", "n"],
  [
    "--secret",
    "s1",
    "--secret",
    "source=s2,target=/x/y,uid=1,gid=2,mode=0400",
    "--config",
    "c1",
    "--config",
    "source=c2,target=/etc/c",
    "n",
  ],
  [
    "--group",
    "a",
    "--group",
    "5",
    "--dns",
    "1.1.1.1",
    "--dns-option",
    "ndots:1",
    "--dns-search",
    "x.y",
    "--host",
    "db:10.0.0.5",
    "--host",
    "v6:::1",
    "--sysctl",
    "net.core.somaxconn=10",
    "--ulimit",
    "nofile=10:20",
    "--ulimit",
    "nproc=5",
    "n",
  ],
  [
    "--cap-add",
    "net_admin",
    "--cap-add",
    "CAP_SYS_TIME",
    "--cap-drop",
    "all",
    "--cap-drop",
    "sys_time",
    "n",
  ],
  ["--cap-add", "ALL", "--cap-add", "x", "n"],
  ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "x", "n"],
  [
    "--health-cmd",
    "curl -f x",
    "--health-interval",
    "5s",
    "--health-timeout",
    "1s",
    "--health-retries",
    "3",
    "--health-start-period",
    "2s",
    "--health-start-interval",
    "1s",
    "n",
  ],
  ["--no-healthcheck", "n"],
  ["--no-healthcheck", "--health-cmd", "x", "n"],
  ["--credential-spec", "config://c1", "n"],
  ["--credential-spec", "file://c1", "n"],
  ["--isolation", "hyperv", "--oom-score-adj", "-500", "n"],
  ["--env-file", "vars.env", "-e", "A=9", "-e", "NOSUCHVAR", "n"],
  ["--memory-swap", "1g", "n"],
];

Deno.test("service create sends the spec that its flags describe", async () => {
  await using agent = new FakeAgent(answerAnything);
  let text = "";
  for (const args of CASES) {
    agent.requests.length = 0;
    const { code, err } = await runFleet(
      ["service", "create", "--detach", "--no-resolve-image", ...args],
      { host: agent.host, files: { "vars.env": "A=1\n# comment\nB=x y\nNOSUCHVAR\n" } },
    );
    text += `$ fleet service create ${args.map(quoted).join(" ")}\n`;
    const [write] = agent.writes;
    text += write ? `${JSON.stringify(write.body, null, 1)}\n\n` : `exit ${code}\n${err}\n`;
    if (!write) assert.deepEqual(agent.requests, [], "refused before any request");
  }
  assertGolden("service_create.txt", text);
});

Deno.test("service create prints the id, and warnings beside it", async () => {
  await using agent = new FakeAgent(() => ({ ID: "svc1", Warnings: ["careful"] }));
  const { code, out, err } = await runFleet(
    ["service", "create", "-d", "--no-resolve-image", "nginx"],
    { host: agent.host },
  );
  assert.deepEqual([code, out, err], [0, "svc1\n", "careful\n"]);
});

Deno.test("an image is pinned to the digest and platforms that its registry names", async () => {
  const digest = `sha256:${"b".repeat(64)}`;
  await using agent = new FakeAgent(({ path }) =>
    path === "/distribution/reg.local:5000/a/b:latest/json"
      ? {
        Descriptor: { digest },
        Platforms: [{ architecture: "amd64", os: "linux" }, { architecture: "arm", os: "linux" }],
      }
      : answerAnything({ path, query: {}, method: "", headers: new Headers(), body: undefined })
  );
  const login = JSON.stringify({ auths: { "reg.local:5000": { auth: btoa("me:secret") } } });
  const { code } = await runFleet(
    ["service", "create", "-d", "--with-registry-auth", "reg.local:5000/a/b"],
    {
      host: agent.host,
      variables: { HOME: "/home/me" },
      files: { "/home/me/.docker/config.json": login },
    },
  );
  assert.equal(code, 0);
  const [write] = agent.writes;
  const body = write?.body as { TaskTemplate: Record<string, Record<string, unknown>> };
  assert.equal(
    body.TaskTemplate["ContainerSpec"]?.["Image"],
    `reg.local:5000/a/b:latest@${digest}`,
  );
  assert.deepEqual(body.TaskTemplate["Placement"]?.["Platforms"], [
    { Architecture: "amd64", OS: "linux" },
    { OS: "linux" },
  ]);
  const header = atob(write?.headers.get("X-Registry-Auth") ?? "");
  assert.deepEqual(JSON.parse(header), {
    username: "me",
    password: "secret",
    serveraddress: "reg.local:5000",
  });
});

Deno.test("without an answer of the registry the service is created, with a warning", async () => {
  await using agent = new FakeAgent(answerAnything);
  const { code, err } = await runFleet(["service", "create", "-d", "nginx"], { host: agent.host });
  assert.equal(code, 0);
  assert.match(err, /^image nginx:latest could not be resolved to a digest/);
});

Deno.test("a network, secret or config that is not there is named", async () => {
  await using agent = new FakeAgent(({ path }) => path.startsWith("/networks/") ? undefined : []);
  for (const kind of ["network", "secret", "config"]) {
    const { code, err } = await runFleet(
      ["service", "create", "-d", `--${kind}`, "missing", "nginx"],
      { host: agent.host },
    );
    assert.deepEqual([code, err], [1, `error: ${kind} not found: missing\n`]);
  }
  assert.deepEqual(agent.writes, []);
});

function quoted(word: string): string {
  return /^[\w./:=,@-]+$/.test(word) ? word : `'${word}'`;
}
