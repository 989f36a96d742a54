import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { containerRequest } from "./container_request.ts";
import { expand } from "../../model/task_template.ts";

const NODE = { id: "node1", hostname: "h1", architecture: "x86_64", os: "linux" };
type Body = Record<string, unknown> & { HostConfig: Record<string, unknown> };

function request(
  change: Parameters<typeof makeTask>[1],
  files: Parameters<typeof containerRequest>[2] = [],
) {
  return containerRequest(makeTask("t1", change), NODE, files, { endpoints: [], dns: [] }) as Body;
}

Deno.test("command and arguments become entrypoint and command", () => {
  const both = request({ container: { Command: ["a"], Args: ["b", "c"] } });
  assert.deepEqual([both["Entrypoint"], both["Cmd"]], [["a"], ["b", "c"]]);
  const onlyArgs = request({ container: { Command: [], Args: ["b"] } });
  assert.deepEqual([onlyArgs["Entrypoint"], onlyArgs["Cmd"]], [undefined, ["b"]]);
});

Deno.test("limits are passed on, reservations are not", () => {
  const { HostConfig } = request({
    Spec: {
      ContainerSpec: { Image: "a" },
      Resources: {
        Limits: { NanoCPUs: 5e8, MemoryBytes: 1e8, Pids: 20 },
        Reservations: { NanoCPUs: 1e9, MemoryBytes: 9e8 },
        SwapBytes: 5e7,
        MemorySwappiness: 10,
      },
    },
  });
  assert.equal(HostConfig["NanoCpus"], 5e8);
  assert.equal(HostConfig["Memory"], 1e8);
  assert.equal(HostConfig["MemorySwap"], 1.5e8);
  assert.equal(HostConfig["MemorySwappiness"], 10);
  assert.equal(HostConfig["PidsLimit"], 20);
  assert.ok(!("MemoryReservation" in HostConfig));
  const endless = request({
    Spec: { ContainerSpec: { Image: "a" }, Resources: { Limits: { Pids: 0 }, SwapBytes: -1 } },
  });
  assert.equal(endless.HostConfig["MemorySwap"], -1);
  assert.ok(!("PidsLimit" in endless.HostConfig));
});

Deno.test("devices and privileges come from labels; isolation means nothing here", () => {
  const { HostConfig } = request({
    container: {
      Isolation: "hyperv",
      Labels: { "fleet.privileged": "true", "fleet.devices": "/dev/a:/dev/b:r" },
    },
  });
  assert.equal(HostConfig["Privileged"], true);
  assert.deepEqual(HostConfig["Devices"], [{
    PathOnHost: "/dev/a",
    PathInContainer: "/dev/b",
    CgroupPermissions: "r",
  }]);
  const plain = request({ container: { Isolation: "hyperv" } }).HostConfig;
  assert.ok(!("Privileged" in plain) && !("Isolation" in plain));
  assert.deepEqual(plain["Devices"], []);
});

Deno.test("only host-mode ports are the engine's business", () => {
  const body = request({
    EndpointSpec: {
      Ports: [
        { TargetPort: 80, PublishedPort: 8080, Protocol: "tcp", PublishMode: "host" },
        { TargetPort: 81, PublishMode: "host" },
        { TargetPort: 82, PublishedPort: 8082, PublishMode: "ingress" },
        { TargetPort: 83, PublishedPort: 8083 },
      ],
    },
  });
  assert.deepEqual(body["ExposedPorts"], { "80/tcp": {}, "81/tcp": {} });
  assert.deepEqual(body.HostConfig["PortBindings"], {
    "80/tcp": [{ HostPort: "8080" }],
    "81/tcp": [{ HostPort: "" }],
  });
});

Deno.test("mounts are expanded, and secrets come as read-only binds", () => {
  const { HostConfig } = request({
    container: {
      Mounts: [
        {
          Type: "volume",
          Source: "data-{{.Task.Slot}}",
          Target: "/data",
          VolumeOptions: {
            Labels: { of: "{{.Service.Name}}" },
            DriverConfig: { Name: "local", Options: { o: "addr={{.Node.Hostname}}" } },
          },
        },
        {
          Type: "bind",
          Source: "/etc",
          Target: "/host",
          ReadOnly: true,
          BindOptions: { Propagation: "rslave" },
        },
        { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1024, Mode: 0o700 } },
      ],
    },
  }, [{ source: "/run/fleet/t1/secret-s1-0", target: "/run/secrets/a:b" }]);
  assert.deepEqual(HostConfig["Mounts"], [
    {
      Type: "volume",
      Source: "data-1",
      Target: "/data",
      VolumeOptions: {
        Labels: { of: "web" },
        DriverConfig: { Name: "local", Options: { o: "addr=h1" } },
      },
    },
    {
      Type: "bind",
      Source: "/etc",
      Target: "/host",
      ReadOnly: true,
      BindOptions: { Propagation: "rslave" },
    },
    { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1024, Mode: 0o700 } },
    {
      Type: "bind",
      Source: "/run/fleet/t1/secret-s1-0",
      Target: "/run/secrets/a:b",
      ReadOnly: true,
    },
  ]);
});

Deno.test("privileges become security options", () => {
  const { HostConfig } = request({
    container: {
      Privileges: {
        SELinuxContext: { Disable: false, Type: "svirt_t", Level: "s0" },
        Seccomp: { Mode: "custom", Profile: btoa('{"defaultAction":"SCMP_ACT_ALLOW"}') },
        AppArmor: { Mode: "disabled" },
        NoNewPrivileges: true,
      },
    },
  });
  assert.deepEqual(HostConfig["SecurityOpt"], [
    "label=type:svirt_t",
    "label=level:s0",
    'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
    "apparmor=unconfined",
    "no-new-privileges=true",
  ]);
});

Deno.test("claimed generic resources are told to the program", () => {
  const body = request({
    container: { Env: ["A=1"] },
    GenericResources: [
      { NamedResourceSpec: { Kind: "gpu", Value: "uuid1" } },
      { NamedResourceSpec: { Kind: "gpu", Value: "uuid2" } },
      { DiscreteResourceSpec: { Kind: "ssd", Value: 3 } },
    ],
  });
  assert.deepEqual(body["Env"], [
    "A=1",
    "DOCKER_RESOURCE_GPU=uuid1,uuid2",
    "DOCKER_RESOURCE_SSD=3",
  ]);
});

Deno.test("a global task is named after its node", () => {
  const { Slot: _, ...globalTask } = makeTask("t1");
  assert.equal(expand("{{.Task.Name}} {{.Task.Slot}}", globalTask, NODE), "web.node1.t1 node1");
});

Deno.test("placeholders are Swarm's", () => {
  const task = makeTask("t1", {
    ServiceAnnotations: { Name: "web", Labels: { tier: "front", "a.b/c": "d" } },
  });
  for (
    const [text, expanded] of [
      ["plain {not} a template", "plain {not} a template"],
      ["{{.Service.ID}}", "service-of-web"],
      ["{{ .Service.Name }}-{{.Task.Slot}}", "web-1"],
      ["{{.Service.Labels.tier}}", "front"],
      ['{{index .Service.Labels "a.b/c"}}', "d"],
      ['[{{index .Service.Labels "none"}}]', "[]"],
      ["{{.Service.Labels}}", "map[a.b/c:d tier:front]"],
      ["{{.Node.ID}} {{.Node.Hostname}}", "node1 h1"],
      ["{{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}", "linux/x86_64"],
      ["{{.Task.ID}} {{.Task.Name}}", "t1 web.1.t1"],
      ["a {{- .Task.ID -}} b", "at1b"],
    ] as const
  ) assert.equal(expand(text, task, NODE), expanded, text);
  for (const bad of ["{{.Task.Nope}}", "{{.Service.Labels.none}}", "{{}}", "{{env `X`}}"]) {
    assert.throws(() => expand(bad, task, NODE), { kind: "invalid" }, bad);
  }
});
