import assert from "node:assert/strict";
import { FakeAgent } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { assertGolden } from "../testing/golden.ts";
import { answerAnything } from "../testing/answer_anything.ts";

/**
 * Arguments of `service update`, each applied to the spec that the one before it left. The results were
 * compared with what Docker's client 28.2 sends; lists keep their order here, where Docker sorts some.
 */
const CASES: readonly (readonly string[])[] = [
  [
    "--image",
    "nginx:2",
    "--args",
    "a 'b c'",
    "--entrypoint",
    "x",
    "--replicas",
    "5",
    "--env-add",
    "A=1",
    "--env-add",
    "B=2",
    "--label-add",
    "x=y",
    "--container-label-add",
    "c=d",
    "--user",
    "u",
    "--workdir",
    "/w",
    "--hostname",
    "h",
    "--force",
    "web",
  ],
  [
    "--env-rm",
    "A",
    "--env-add",
    "C=3",
    "--label-rm",
    "x",
    "--label-add",
    "n=1",
    "--container-label-rm",
    "c",
    "--force",
    "web",
  ],
  ["--env-add", "B=9", "--args", "", "web"],
  [
    "--publish-add",
    "8080:80",
    "--publish-add",
    "published=53,target=53,mode=host,protocol=udp",
    "web",
  ],
  ["--publish-add", "8081:80", "web"],
  ["--publish-rm", "80", "web"],
  ["--publish-rm", "published=53,target=53,mode=host,protocol=udp", "web"],
  ["--mount-add", "type=bind,src=/a,dst=/b", "--mount-add", "type=volume,src=v,dst=/v", "web"],
  ["--mount-add", "type=bind,src=/a2,dst=/b", "--mount-rm", "/v", "web"],
  [
    "--constraint-add",
    "node.role==worker",
    "--constraint-add",
    "a==b",
    "--placement-pref-add",
    "spread=node.labels.a",
    "web",
  ],
  [
    "--constraint-rm",
    "node.role==worker",
    "--placement-pref-rm",
    "spread=node.labels.a",
    "--placement-pref-add",
    "spread=node.labels.b",
    "web",
  ],
  ["--network-add", "back", "--network-add", "name=front,alias=x", "web"],
  ["--network-rm", "back", "web"],
  ["--network-add", "front", "web"],
  ["--secret-add", "s1", "--secret-add", "source=s2,target=t2", "--config-add", "c1", "web"],
  [
    "--secret-rm",
    "s1",
    "--config-rm",
    "c1",
    "--secret-add",
    "source=s3,target=t3,mode=0400",
    "web",
  ],
  [
    "--group-add",
    "a",
    "--group-add",
    "b",
    "--dns-add",
    "1.1.1.1",
    "--dns-option-add",
    "x",
    "--dns-search-add",
    "d",
    "--host-add",
    "db:1.2.3.4",
    "--sysctl-add",
    "a=1",
    "--ulimit-add",
    "nofile=1:2",
    "--generic-resource-add",
    "gpu=1",
    "web",
  ],
  [
    "--group-rm",
    "a",
    "--dns-rm",
    "1.1.1.1",
    "--dns-add",
    "8.8.8.8",
    "--dns-option-rm",
    "x",
    "--dns-search-rm",
    "d",
    "--host-rm",
    "db:1.2.3.4",
    "--host-add",
    "x:1.1.1.1",
    "--sysctl-rm",
    "a",
    "--sysctl-add",
    "b=2",
    "--ulimit-rm",
    "nofile",
    "--ulimit-add",
    "nproc=3",
    "--generic-resource-rm",
    "gpu",
    "web",
  ],
  [
    "--limit-cpu",
    "1",
    "--limit-memory",
    "64m",
    "--limit-pids",
    "5",
    "--reserve-memory",
    "32m",
    "--restart-condition",
    "none",
    "--restart-delay",
    "1s",
    "web",
  ],
  ["--limit-memory", "128m", "--restart-max-attempts", "4", "web"],
  ["--update-parallelism", "3", "--rollback-order", "start-first", "web"],
  ["--update-delay", "1s", "web"],
  ["--replicas", "2", "web"],
  [
    "--endpoint-mode",
    "dnsrr",
    "--log-driver",
    "syslog",
    "--log-opt",
    "a=b",
    "--stop-grace-period",
    "5s",
    "--init",
    "--read-only",
    "--tty",
    "--stop-signal",
    "INT",
    "web",
  ],
  ["--log-opt", "c=d", "--init=false", "--read-only=false", "--tty=false", "web"],
  ["--log-driver", "", "web"],
  ["--health-cmd", "x", "--health-interval", "3s", "web"],
  ["--no-healthcheck", "web"],
  ["--health-retries", "2", "web"],
  ["--health-cmd", "y", "web"],
  ["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "web"],
  ["--cap-drop", "NET_ADMIN", "web"],
  ["--cap-drop", "NET_ADMIN", "web"],
  ["--cap-add", "CHOWN", "--cap-add", "NET_ADMIN", "web"],
  ["--cap-add", "CHOWN", "web"],
  ["--cap-add", "RESET", "--cap-drop", "RESET", "--cap-add", "SYS_TIME", "web"],
  ["--cap-add", "SYS_TIME", "--cap-drop", "SYS_TIME", "web"],
  ["--credential-spec", "config://c1", "web"],
  ["--credential-spec", "registry://r", "web"],
  ["--credential-spec", "", "web"],
  ["--rollback", "web"],
  ["--rollback", "--force", "web"],
  ["--max-concurrent", "2", "web"],
  [
    "--replicas-max-per-node",
    "2",
    "--isolation",
    "process",
    "--oom-score-adj",
    "3",
    "--with-registry-auth",
    "web",
  ],
];

const FIRST = {
  Name: "web",
  Labels: {},
  TaskTemplate: { ContainerSpec: { Image: "nginx:1" } },
  Mode: { Replicated: { Replicas: 2 } },
  EndpointSpec: { Mode: "vip" },
};

Deno.test("service update changes what its flags name, and nothing else", async () => {
  let spec: unknown = FIRST;
  await using agent = new FakeAgent((request) => {
    if (request.path === "/services/web") return { ID: "svc1", Version: { Index: 7 }, Spec: spec };
    if (request.path === "/services/svc1/update") return { Warnings: null };
    return answerAnything(request);
  });
  let text = "";
  for (const args of CASES) {
    agent.requests.length = 0;
    const { code, err } = await runFleet(
      ["service", "update", "--detach", ...args],
      { host: agent.host },
    );
    const [write] = agent.writes;
    text += `$ fleet service update ${args.join(" ")}\n`;
    if (write) spec = write.body;
    text += write
      ? `${JSON.stringify(write.query)}\n${JSON.stringify(spec, null, 1)}\n\n`
      : `exit ${code}\n${err}\n`;
  }
  assertGolden("service_update.txt", text);
});

Deno.test("replicas of a global service are refused, those of a job are its completions", async () => {
  let mode: unknown = { Global: {} };
  await using agent = new FakeAgent((request) => {
    if (request.path === "/services/web") {
      return { ID: "svc1", Version: { Index: 7 }, Spec: { ...FIRST, Mode: mode } };
    }
    return request.path === "/services/svc1/update" ? {} : undefined;
  });
  const run = () =>
    runFleet(["service", "update", "-d", "--replicas", "9", "web"], { host: agent.host });
  const refused = await run();
  assert.equal(refused.code, 2);
  assert.match(refused.err, /only replicated services and jobs have a number of replicas/);
  assert.equal(agent.writes.length, 0);
  mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 4 } };
  await run();
  const body = agent.writes[0]?.body as { Mode: unknown };
  assert.deepEqual(body.Mode, { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 9 } });
});

Deno.test("what is wrong with the flags is told before the first request", async () => {
  await using agent = new FakeAgent(() => undefined);
  for (
    const args of [
      ["--publish-add", "99999:80"],
      ["--mount-add", "type=foo,target=/x"],
      ["--image", "Not An Image"],
      ["--rollback", "--force"],
      ["--replicas", "-1"],
      ["--update-max-failure-ratio", "2"],
    ]
  ) {
    const { code, err } = await runFleet(["service", "update", ...args, "web"], {
      host: agent.host,
    });
    assert.equal(code, 2, err);
  }
  assert.deepEqual(agent.requests, []);
});
