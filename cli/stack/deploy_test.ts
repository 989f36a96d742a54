import assert from "node:assert/strict";
import { emptyCluster } from "../../tests/support/stack_recorder.ts";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { SeenRequest } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const LOGIN = JSON.stringify({ auths: { "reg.example": { auth: btoa("me:word") } } });

/** A cluster where the stack's one service runs already, and a registry that knows every image. */
function withService(request: SeenRequest): Response | unknown {
  if (request.path.startsWith("/distribution/")) {
    return { Descriptor: { digest: DIGEST }, Platforms: [{ architecture: "amd64", os: "linux" }] };
  }
  if (request.path === "/services") {
    return [{
      ID: "web1",
      Version: { Index: 7 },
      Spec: {
        Name: "shop_web",
        Labels: {
          "com.docker.stack.namespace": "shop",
          "com.docker.stack.image": "reg.example/web:1",
        },
        TaskTemplate: {
          ContainerSpec: {
            Image: `reg.example/web:1@${DIGEST}`,
            Labels: { "com.docker.stack.namespace": "shop" },
          },
          Placement: { Platforms: [{ Architecture: "amd64", OS: "linux" }] },
          Networks: [{ Target: "net1", Aliases: ["web"] }],
          ForceUpdate: 2,
        },
        Mode: { Replicated: { Replicas: 1 } },
        EndpointSpec: { Mode: "vip" },
      },
    }];
  }
  if (request.path === "/networks") return [{ Name: "shop_default", Id: "net1", Scope: "swarm" }];
  if (request.path === "/services/web1/update") return {};
  return emptyCluster(request);
}

const FILES = {
  "compose.yaml": "services: {web: {image: 'reg.example/web:${V:-1}'}}",
  "/work/.env": "V=1\n",
  "/root/.docker/config.json": LOGIN,
};

async function deploy(args: readonly string[], variables = {}, answer = withService) {
  await using agent = new FakeAgent(answer);
  const result = await runFleet(["stack", "deploy", "--detach", ...args], {
    host: agent.host,
    files: FILES,
    variables: { HOME: "/root", ...variables },
  });
  return { ...result, writes: agent.writes };
}

Deno.test("what is the same is not sent; .env is read and said", async () => {
  const { code, out, err, writes } = await deploy(["shop"]);
  assert.equal(code, 0, err);
  assert.equal(out, "Service shop_web is unchanged\n");
  assert.equal(err, "Variables from /work/.env: V\n");
  assert.deepEqual(writes, []);
});

Deno.test("a registry that does not answer is no reason to replace anything", async () => {
  const silent = (request: SeenRequest) =>
    request.path.startsWith("/distribution/") ? refusal(500, "down") : withService(request);
  const { out, err, writes } = await deploy(["shop"], {}, silent);
  assert.equal(out, "Service shop_web is unchanged\n");
  assert.match(err, /could not be resolved to a digest/);
  assert.deepEqual(writes, []);
});

Deno.test("a changed image is pinned, with the login where that is asked for", async () => {
  const { out, writes } = await deploy(["--with-registry-auth", "shop"], { V: "2" });
  assert.equal(out, "Updating service shop_web (id: web1)\n");
  const [update] = writes;
  assert.deepEqual(update!.query, { version: "7" });
  const spec = update!.body as {
    TaskTemplate: { ContainerSpec: { Image: string }; ForceUpdate: number };
  };
  assert.equal(spec.TaskTemplate.ContainerSpec.Image, `reg.example/web:2@${DIGEST}`);
  assert.equal(spec.TaskTemplate.ForceUpdate, 2, "what --force counted stays");
  const login = JSON.parse(atob(update!.headers.get("X-Registry-Auth")!));
  assert.deepEqual(login, { username: "me", password: "word", serveraddress: "reg.example" });
});

Deno.test("without the flag the service keeps the login that it has; never asks no registry", async () => {
  const { writes } = await deploy(["--resolve-image", "never", "shop"], { V: "2" });
  assert.deepEqual(writes[0]!.query, { version: "7", registryAuthFrom: "spec" });
  const { TaskTemplate } = writes[0]!.body as {
    TaskTemplate: { ContainerSpec: { Image: string } };
  };
  assert.equal(TaskTemplate.ContainerSpec.Image, "reg.example/web:2");
});

Deno.test("a dry run changes nothing and says what would be", async () => {
  const { out, writes } = await deploy(["--dry-run", "--resolve-image", "never", "shop"], {
    V: "2",
  });
  assert.deepEqual(writes, []);
  assert.match(
    out,
    /^service shop_web: changes in place\n {4}Image: .*web:1@.* -> reg\.example\/web:2\n/,
  );
});

Deno.test("what cannot be deployed is told before anything is created", async () => {
  const noManager = (request: SeenRequest) =>
    request.path === "/info" ? { Swarm: { ControlAvailable: false } } : emptyCluster(request);
  const worker = await deploy(["shop"], {}, noManager);
  assert.equal(worker.code, 1);
  assert.match(worker.err, /is no manager: deploy from a manager/);
  assert.deepEqual(worker.writes, []);
  for (
    const [args, pattern] of [
      [[], /name the stack, or write name:/],
      [["no good"], /invalid stack name "no good"/],
      [["-c", "none.yaml", "shop"], /compose file none\.yaml cannot be read/],
      [["--env-file", "none.env", "shop"], /--env-file none\.env cannot be read/],
    ] as const
  ) {
    const { code, err, writes } = await deploy(args);
    assert.equal(code, 2, err);
    assert.match(err, pattern);
    assert.deepEqual(writes, []);
  }
});

Deno.test("an external network must be there, and the cluster's", async () => {
  const file =
    "services: {web: {image: x, networks: [n]}}\nnetworks: {n: {external: true, name: out}}";
  const networks = (list: unknown) => (request: SeenRequest) =>
    request.path === "/networks" ? list : emptyCluster(request);
  const run = async (list: unknown) => {
    await using agent = new FakeAgent(networks(list));
    return await runFleet(["stack", "deploy", "-c", "-", "shop"], {
      host: agent.host,
      stdin: file,
    });
  };
  assert.match((await run([])).err, /"out" is declared as external, but there is none/);
  assert.match(
    (await run([{ Name: "out", Id: "1", Scope: "local" }])).err,
    /"out" is declared as external, but it is this engine's alone/,
  );
});

Deno.test("a failing agent is told in its own words", async () => {
  const broken = (request: SeenRequest) =>
    request.path === "/services/web1/update" ? refusal(500, "out of order") : withService(request);
  const { code, err } = await deploy(["shop"], { V: "2" }, broken);
  assert.equal(code, 1);
  assert.match(err, /Error response from daemon: out of order/);
});

Deno.test("access to hosts that the cluster's policy refuses is told before anything is created", async () => {
  const attempt = async (policy: object, args: readonly string[] = []) => {
    await using agent = new FakeAgent((request) =>
      request.path === "/fleet/policy" ? policy : emptyCluster(request)
    );
    const result = await runFleet(
      ["stack", "deploy", "--detach", "--resolve-image", "never", ...args, "shop"],
      {
        host: agent.host,
        files: {
          "compose.yaml":
            "services: {a: {image: x, networks: [n]}, web: {image: x, privileged: true}}\nnetworks: {n: {}}",
        },
        variables: { HOME: "/root" },
      },
    );
    return { ...result, writes: agent.writes };
  };
  const refused = await attempt({ Privileged: false, Devices: true });
  assert.equal(refused.code, 1);
  assert.match(
    refused.err,
    /service shop_web: privileged containers are not allowed on this cluster; whoever may: fleet policy set --privileged/,
  );
  assert.deepEqual(refused.writes, []);
  const allowed = await attempt({ Privileged: true, Devices: false });
  assert.equal(allowed.code, 0, allowed.err);
});
