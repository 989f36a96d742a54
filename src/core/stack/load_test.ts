import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { kindOf, messageOf } from "../../base/errors.ts";
import { devicesOf, isPrivileged } from "../../model/host_access.ts";
import { configText } from "./config_text.ts";
import { desiredStack } from "./desired.ts";
import { loadStack } from "./load.ts";

const PLACES = { folder: "/work", home: "/root" };

async function load(
  text: string | readonly string[],
  options: {
    variables?: Record<string, string>;
    files?: Record<string, string>;
    profiles?: string[];
  } = {},
) {
  const texts = typeof text === "string" ? [text] : text;
  return await loadStack(
    texts.map((each, i) => ({ name: i === 0 ? "a.yml" : `a${i + 1}.yml`, text: each })),
    {
      places: PLACES,
      lookup: (name) => options.variables?.[name],
      readText: (path) => {
        const found = options.files?.[path];
        return found === undefined
          ? Promise.reject(new Error(`no such file: ${path}`))
          : Promise.resolve(found);
      },
      ...(options.profiles ? { profiles: options.profiles } : {}),
    },
  );
}

/** The sentence with which a file is refused. */
async function refusal(text: string | readonly string[], files = {}): Promise<string> {
  try {
    await load(text, { files });
  } catch (error) {
    strictEqual(kindOf(error), "invalid", messageOf(error));
    return messageOf(error);
  }
  throw new Error("the file was taken");
}

const web = (lines: string) => `services:\n  web:\n    image: x\n${lines}`;

Deno.test("what is wrong is told with file, line, column and the way out", async () => {
  const cases: [string, RegExp][] = [
    [
      web("    imagee: y"),
      /^a\.yml:4:5: services\.web\.imagee: unknown key; did you mean image\?$/,
    ],
    [web("    mem_limit: 1g"), /^a\.yml:4:5: .*deploy\.resources\.limits$/],
    [web("    volumes_from: [y]"), /a\.yml:4:5: services\.web\.volumes_from: /],
    [
      web("    ports: ['80:80', nope]"),
      /^a\.yml:4:22: services\.web\.ports\[1\]: "nope" is no port/,
    ],
    [web("    ports: ['70000:80']"), /70000 is no port/],
    [web("    ports: ['8000-8002:80-81']"), /same number of ports/],
    [web("    ports: ['8001-8000:80']"), /"8001-8000:80": a range begins with its lower port/],
    [web("    ports: ['8000:81-80']"), /a range begins with its lower port/],
    [
      web("    networks: [frnt]\nnetworks:\n  front:"),
      /a\.yml:4:\d+: .*"frnt" is not declared: did you mean front\?/,
    ],
    [web("    secrets: [s]"), /"s" is not declared: declare it under the top-level secrets/],
    [web("    secrets: [{source: s, uid: bob}]"), /uid: must be a number/],
    [web("    stop_grace_period: 5 years"), /invalid duration "5 years"/],
    [web("    deploy: {mode: globl}"), /mode: "globl" is none of replicated, global/],
    [web("    deploy: {mode: global, replicas: 2}"), /replicas: cannot be set with mode global/],
    [web("    deploy: {replicas: many}"), /replicas: must be a number, not many/],
    [web("    deploy: {resources: {limits: {memory: lots}}}"), /"lots" is no size/],
    [web("    environment: {A: [1]}"), /environment\.A: must be a text, not a list/],
    [web("    environment: {A: '${'}"), /services\.web\.environment\.A: .*no valid template/],
    [web('    command: "a \'b"'), /a\.yml:4:5: services\.web\.command: /],
    [web("    restart: sometimes"), /"sometimes" is none of no, always/],
    [web("    healthcheck: {test: [curl]}"), /must begin with NONE, CMD or CMD-SHELL/],
    [web("    extra_hosts: ['a:host-gateway']"), /host-gateway differs from node to node/],
    [
      web("    depends_on: {db: {condition: service_happy}}"),
      /condition: "service_happy" is none of/,
    ],
    [web("    depends_on: [db]"), /"db" is not declared/],
    [
      "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}",
      /waits for itself: a -> b -> a/,
    ],
    ["services:\n  web: x", /^a\.yml:2:3: services\.web: must be a mapping with an image/],
    ["secrets: {s: {}}", /says nowhere what it holds/],
    ["secrets: {s: {file: a, environment: B}}", /gives file and environment/],
    ["networks: {n: {external: true, driver: x}}", /driver: does not go with external: true/],
    ["version: '2.4'", /^a\.yml:1:1: version: version "2\.4" is not supported/],
    ["include: [b.yml]", /^a\.yml:1:11: include\[0\]: \/work\/b\.yml cannot be read/],
    ["include: [{folder: x}]", /include\[0\]\.folder: unknown key/],
    ["include: [{env_file: x}]", /include\[0\]: names no path/],
    ["!override {a: b}", /the tag !override goes before the value of a key/],
    [web("    ports: [!reset 80]"), /a\.yml:4:\d+: the tag !reset goes before the value of a key/],
    ["[1]", /top-level object must be a mapping/],
    ["a: [", /^a\.yml:1:\d+: /],
    ["services: &a {x: *a}", /anchor &a contains itself/],
  ];
  for (const [text, pattern] of cases) match(await refusal(text), pattern, text);
});

Deno.test("a bomb of aliases and deep nesting are refused at once", async () => {
  const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 12; i++) {
    bomb.push(`a${i}: &a${i} [${Array(9).fill(`*a${i - 1}`).join(", ")}]`);
  }
  match(await refusal(bomb.join("\n")), /more than 100000 values/);
  match(await refusal(`x-a: ${"[".repeat(5000)}${"]".repeat(5000)}`), /nested too deeply/);
});

Deno.test("variables: every form, and what is missing is told", async () => {
  const text = web(`    environment:
      A: $ONE-\${ONE}
      B: \${EMPTY:-none}\${EMPTY-kept}
      C: \${UNSET-d1}\${UNSET:-d2}
      D: \${ONE:+set}\${EMPTY:+set}\${EMPTY+set}
      E: \${UNSET:-\${ONE}}
      F: $$ONE
      G: \${UNSET}`);
  const { file, remarks } = await load(text, { variables: { ONE: "1", EMPTY: "" } });
  deepStrictEqual(file.services["web"]!.environment, {
    A: "1-1",
    B: "none",
    C: "d1d2",
    D: "setset",
    E: "1",
    F: "$ONE",
    G: "",
  });
  deepStrictEqual(remarks.notes, ["not set, so an empty text stands for: UNSET"]);
  for (const form of ["${X:?say X}", "${X?say X}"]) {
    match(
      await refusal(`services:\n  web:\n    image: ${form}`),
      /^a\.yml:3:5: services\.web\.image: required variable X is missing a value: say X$/,
    );
  }
});

Deno.test("numbers and booleans may come out of variables", async () => {
  const { file } = await load(
    web("    init: ${I}\n    deploy: {replicas: '${N}'}\n    ports: [{target: '${P}'}]"),
    { variables: { I: "true", N: "3", P: "80" } },
  );
  const service = file.services["web"]!;
  strictEqual(service.init, true);
  strictEqual(service.deploy?.replicas, 3);
  strictEqual(service.ports?.[0]?.target, 80);
});

Deno.test("anchors, merge keys and x- fields", async () => {
  const { file } = await load(`x-base: &base
  image: x
  labels: {a: "1", b: "1"}
services:
  web:
    <<: *base
    labels: {a: "2"}
  two:
    <<: [*base, {image: y, user: u}]`);
  deepStrictEqual(file.services["web"]!.labels, { a: "2" });
  deepStrictEqual(
    [file.services["two"]!.image, file.services["two"]!.user],
    ["x", "u"],
  );
  deepStrictEqual(Object.keys(file.extensions), ["x-base"]);
});

Deno.test("environment: files first, then the file's own, names alone take the value here", async () => {
  const { file } = await load(
    web(
      "    env_file:\n      - a.env\n      - {path: none.env, required: false}\n" +
        "    environment: [B=own, HERE, NOWHERE]",
    ),
    {
      variables: { HERE: "h" },
      files: { "/work/a.env": "A=1\nB=file\n# no\nHERE\n" },
    },
  );
  deepStrictEqual(file.services["web"]!.environment, {
    A: "1",
    B: "own",
    HERE: "h",
    NOWHERE: null,
  });
  match(await refusal(web("    env_file: b.env")), /env_file: \/work\/b\.env cannot be read/);
});

Deno.test("extends: from the same file and from another, relative to that one; circles are refused", async () => {
  const { file } = await load(
    `services:
  base: {image: x, environment: {A: "1", B: "1"}}
  web: {extends: base, environment: {B: "2"}}
  far: {extends: {file: sub/b.yml, service: it}, user: u}`,
    { files: { "/work/sub/b.yml": "services: {it: {image: y, volumes: ['./d:/d']}}" } },
  );
  deepStrictEqual(file.services["web"]!.environment, { A: "1", B: "2" });
  deepStrictEqual(file.services["far"], {
    image: "y",
    user: "u",
    volumes: [{ type: "bind", source: "/work/sub/d", target: "/d" }],
  });
  match(
    await refusal("services: {a: {extends: b}, b: {extends: a}}"),
    /extend one another without end/,
  );
  match(await refusal("services: {a: {extends: c}}"), /there is no service c in a\.yml/);
});

Deno.test("profiles leave services out until they are asked for", async () => {
  const text = "services: {a: {image: x}, b: {image: x, profiles: [debug]}}";
  deepStrictEqual(Object.keys((await load(text)).file.services), ["a"]);
  deepStrictEqual(Object.keys((await load(text, { profiles: ["debug"] })).file.services), [
    "a",
    "b",
  ]);
});

Deno.test("what means nothing on a cluster is remarked on, with its place", async () => {
  const { remarks } = await load(
    web("    build: .\n    container_name: w\n    ipc: host\n    x-own: 1"),
  );
  deepStrictEqual([...remarks.unsupported], [
    ["build", ["a.yml:4:5"]],
    ["ipc", ["a.yml:6:5"]],
  ]);
  match(remarks.notes.join(), /^a\.yml:5:5: services\.web\.container_name: ignored: /);
});

Deno.test("stack config reads back as the same stack", async () => {
  const text = Deno.readTextFileSync(
    new URL("../../../cli/testdata/stack/full.yaml", import.meta.url),
  );
  const files = { "/work/a.env": "FROMFILE=1\n" };
  const { file } = await load(text, { files });
  const again = await load(configText(file).replaceAll("$", "$$$$"), { files });
  deepStrictEqual(again.file.services, file.services);
  deepStrictEqual(again.file.networks, file.networks);
  deepStrictEqual(again.file.secrets, file.secrets);
});

Deno.test("a key named __proto__ stays a key", async () => {
  await rejects(load(web("    __proto__: {image: y}")), /__proto__: unknown key/);
});

Deno.test("a later file takes away with !reset, and replaces as a whole with !override", async () => {
  const first = web(`    env_file: [nowhere.env]
    environment: [A=1, B=2]
    ports: ["80:80", "81:81"]
    command: run
    deploy: {replicas: 3, resources: {limits: {memory: 1g, cpus: "2"}}}
  gone:
    image: y
networks:
  old: {}`);
  const second = `services:
  web:
    env_file: !reset []
    environment:
      A: !reset null
      C: "3"
    ports: !override ["90:90"]
    command: !reset null
    deploy:
      resources:
        limits: !override {cpus: "1"}
  gone: !reset
networks:
  old: !reset null`;
  const { file } = await load([first, second]);
  deepStrictEqual(Object.keys(file.services), ["web"]);
  deepStrictEqual(file.networks, {});
  const { environment, ports, command, deploy } = file.services["web"]!;
  deepStrictEqual(environment, { B: "2", C: "3" });
  deepStrictEqual(ports?.map(({ published, target }) => [published, target]), [[90, 90]]);
  strictEqual(command, undefined);
  strictEqual(deploy?.replicas, 3);
  deepStrictEqual(Object.keys(deploy?.resources?.limits ?? {}), ["cpus"]);
  // A service that extends another one drops what it inherits.
  const { file: extended } = await load(`services:
  base: {image: x, ports: ["80:80"], labels: {a: b, c: d}}
  web:
    extends: base
    ports: !reset []
    labels: !override {e: f}`);
  strictEqual(extended.services["web"]!.ports, undefined);
  deepStrictEqual(extended.services["web"]!.labels, { e: "f" });
  strictEqual(extended.services["base"]!.ports?.length, 1);
  // A merged anchor stands in the same file: as with Docker Compose it counts, which is said.
  const { file: merged, remarks } = await load(`x-a: &a {ports: ["80:80"]}
services:
  web:
    <<: *a
    image: x
    ports: !reset []`);
  strictEqual(merged.services["web"]!.ports?.length, 1);
  match(
    remarks.notes.join(),
    /^a\.yml:6:5: services\.web\.ports: !reset leaves what the merge key \(<<\) brings, /,
  );
});

Deno.test("included files are projects of their own: folder, variables, several over one another", async () => {
  const files = {
    "/work/db/compose.yml": `services:
  db:
    image: db:\${TAG}
    env_file: own.env
    networks: [back]
networks:
  back: {}`,
    "/work/db/more.yml": "services: {db: {ports: !override ['5:5']}}",
    "/work/db/own.env": "A=1",
    "/work/db/vars.env": "TAG=7",
    "/work/leaf.yml": "include: [leaf2.yml]\nnetworks: {back: {}}",
    "/work/leaf2.yml": "volumes: {v: {}}",
    "/work/circle.yml": "include: [circle.yml]",
  };
  const text = `include:
  - path: [db/compose.yml, db/more.yml]
    env_file: db/vars.env
  - leaf.yml
services:
  web: {image: x, depends_on: [db], networks: [back], volumes: ["v:/v"]}`;
  const { file } = await load(text, { files });
  deepStrictEqual(Object.keys(file.services).sort(), ["db", "web"]);
  strictEqual(file.services["db"]!.image, "db:7");
  deepStrictEqual(file.services["db"]!.environment, { A: "1" });
  strictEqual(file.services["db"]!.ports?.length, 1);
  deepStrictEqual(Object.keys(file.volumes), ["v"]);
  // What is set here wins over the included project's own variables.
  const { file: set } = await load(text, { files, variables: { TAG: "9" } });
  strictEqual(set.services["db"]!.image, "db:9");
  // What differs is no accident to guess about; a further file may change it.
  match(
    await refusal("include: [leaf.yml]\nnetworks: {back: {internal: true}}", files),
    /^a\.yml:1:11: include\[0\]: networks\.back is declared here as well, and differs/,
  );
  match(await refusal("include: [circle.yml]", files), /include one another without end/);
});

Deno.test("an included project's variables: its .env, or the files it is given, in that format", async () => {
  const project = "services: {db: {image: 'd:${TAG}', labels: {a: '${OTHER}'}}}";
  const files = {
    "/work/db/compose.yml": project,
    "/work/db/.env": 'export TAG="1.2" # newest\nOTHER=${TAG}-$HERE\nHERE=theirs',
    "/work/vars.env": "TAG='3'",
    "/work/plain/compose.yml": project,
    "/work/inner/compose.yml": "include: [inner/compose.yml]",
    "/work/inner/.env": "TAG=outer",
    "/work/inner/inner/compose.yml": project,
    "/work/inner/inner/.env": "TAG=inner\nOTHER=own",
  };
  const db = async (include: string) => {
    const { file, remarks } = await load(`include: [${include}]`, {
      files,
      variables: { HERE: "h" },
    });
    const { image, labels } = file.services["db"]!;
    return [image, labels?.["a"], remarks.notes.filter((note) => !note.startsWith("not set"))];
  };
  deepStrictEqual(await db("db/compose.yml"), [
    "d:1.2",
    "1.2-h",
    ["Variables from /work/db/.env: OTHER, TAG"],
  ]);
  // Files that are named stand in for it, and so does another folder.
  deepStrictEqual(await db("{path: db/compose.yml, env_file: vars.env}"), ["d:3", "", []]);
  deepStrictEqual(
    (await db("{path: plain/compose.yml, project_directory: db}")).slice(0, 2),
    ["d:1.2", "1.2-h"],
  );
  // Who includes wins, at every depth.
  deepStrictEqual((await db("inner/compose.yml")).slice(0, 2), ["d:outer", "own"]);
  match(
    await refusal("include: [{path: plain/compose.yml, env_file: no.env}]", files),
    /^a\.yml:1:11: include\[0\]: \/work\/no\.env cannot be read/,
  );
});

Deno.test("an included project's variables also fill its secrets and configs", async () => {
  const project = "secrets: {pw: {environment: PW}}";
  const files = {
    "/work/a/compose.yml": project,
    "/work/a/.env": "PW=one",
    "/work/b/compose.yml": "configs: {c: {environment: PW}}",
    "/work/b/.env": "PW=two",
  };
  const { variables } = await load("include: [a/compose.yml]", { files });
  deepStrictEqual([...variables], [["PW", "one"]]);
  match(
    await refusal("include: [a/compose.yml, b/compose.yml]", files),
    /include\[1\]: the variable PW holds a secret or config here and in another/,
  );
});

Deno.test("what is reset is not read, wherever it comes from", async () => {
  const files = { "/work/a.env": "A=file", "/work/b.env": "B=file\nC=file" };
  // Inherited: neither the file's variables nor the file itself.
  const { file } = await load(
    `services:
  base: {image: x, env_file: [a.env], environment: {C: base}}
  web: {extends: base, env_file: !reset [], environment: {D: "1"}}
  own: {extends: base, env_file: !override [b.env]}
  both: {extends: base, env_file: [b.env]}`,
    { files },
  );
  deepStrictEqual(file.services["web"]!.environment, { C: "base", D: "1" });
  deepStrictEqual(file.services["own"]!.environment, { B: "file", C: "base" });
  deepStrictEqual(file.services["both"]!.environment, { A: "file", B: "file", C: "base" });
  // Not even opened.
  const { file: unread } = await load(
    `services: {web: {extends: {file: base.yml, service: base}, env_file: !reset []}}`,
    { files: { "/work/base.yml": "services: {base: {image: x, env_file: nowhere.env}}" } },
  );
  deepStrictEqual(unread.services["web"], { image: "x" });
  // Included, and inherited, from a later file.
  const reset = "services: {db: {env_file: !reset []}}";
  const { file: later } = await load(["include: [db.yml]", reset], {
    files: { "/work/db.yml": "services: {db: {image: x, env_file: nowhere.env}}" },
  });
  deepStrictEqual(later.services["db"], { image: "x" });
  const base = "services: {base: {image: x, env_file: nowhere.env}}";
  const { file: inherited } = await load(
    ["services: {db: {extends: {file: base.yml, service: base}}}", reset],
    { files: { "/work/base.yml": base } },
  );
  deepStrictEqual(inherited.services["db"], { image: "x" });
  // A missing file is told where it is named.
  match(
    await refusal("services:\n  a: {extends: {file: base.yml, service: base}}", {
      "/work/base.yml": base,
    }),
    /^\/work\/base\.yml:1:\d+: services\.base\.env_file: \/work\/nowhere\.env cannot be read/,
  );
});

Deno.test("includes are bounded in number, and local", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 14; i++) {
    files[`/work/${i}a.yml`] = files[`/work/${i}b.yml`] = `include: [${i + 1}a.yml, ${i + 1}b.yml]`;
  }
  files["/work/14a.yml"] = files["/work/14b.yml"] = "services: {}";
  match(
    await refusal("include: [0a.yml, 0b.yml]", files),
    /include\[\d\]: more than 200 files are included in all$/,
  );
  for (
    const [text, place] of [
      ['include: ["https://example.com/a.yml"]', "include\\[0\\]"],
      ["include: [{path: 'oci://example.com/a'}]", "include\\[0\\]\\.path"],
      ["include: [{path: ['git@example.com:a.git']}]", "include\\[0\\]\\.path\\[0\\]"],
      ["services: {a: {extends: {file: 'https://x/a.yml', service: a}}}", "services.*\\.file"],
    ] as const
  ) {
    match(
      await refusal(text),
      new RegExp(
        `^a\\.yml:1:\\d+: ${place}: remote files \\("[^"]+"\\) are not supported: fetch it`,
      ),
    );
  }
});

Deno.test("what the managers would refuse is told with file, line and service", async () => {
  const cases: [string, RegExp][] = [
    [
      web("    volumes: [{type: npipe, source: a, target: /a}]"),
      /^a\.yml:4:5: services\.web\.volumes: mount type "npipe" is not supported on Linux; use bind/,
    ],
    [
      web("    volumes: [{type: cluster, source: a, target: /a}]"),
      /^a\.yml:4:5: services\.web\.volumes: mount type "cluster" is not supported/,
    ],
    [
      web("    credential_spec: {file: a}"),
      /^a\.yml:4:5: services\.web\.credential_spec: credential specs are for Windows/,
    ],
    [
      "services:\n  web:\n    image: Bad::Image",
      /^a\.yml:3:5: services\.web\.image: "Bad::Image" is not a valid/,
    ],
    [
      "services:\n  web:\n    user: x",
      /^a\.yml:2:3: services\.web\.image: a service of a cluster needs an image$/,
    ],
    [
      web("    deploy: {resources: {limits: {memory: 1k}}}"),
      /^a\.yml:4:14: services\.web\.deploy\.resources: invalid memory value/,
    ],
    [
      web("    deploy: {placement: {constraints: [nonsense]}}"),
      /^a\.yml:4:26: services\.web\.deploy\.placement\.constraints: /,
    ],
    [
      web("    ports: ['80:80']\n    deploy: {endpoint_mode: dnsrr}"),
      /^a\.yml:4:5: services\.web\.ports: port published with ingress mode can't be used with dnsrr/,
    ],
    [web("    hostname: '{{.Nope}}'"), /^a\.yml:2:3: services\.web: /],
    [
      "services:\n  web.one:\n    image: x",
      /^a\.yml:2:3: services\.web\.one: invalid service name/,
    ],
  ];
  for (const [text, pattern] of cases) match(await refusal(text), pattern, text);
  match(
    await refusal("services:\n  web:\n    image: a:${TAG}"),
    /^a\.yml:3:5: services\.web\.image: "a::latest" is not a valid repository\/tag \(not set: TAG\)$/,
  );
  // The place is in the file that says it, and what another file replaces is nobody's mistake.
  match(
    await refusal(["services:\n  web:\n    image: A", "services:\n  web:\n    user: x"]),
    /^a\.yml:3:5: services\.web\.image: /,
  );
  await load(["services: {web: {image: A}}", "services: {web: {image: a}}"]);
});

Deno.test("privileged and devices become the labels that ask for them", async () => {
  const first = web(`    privileged: true
    devices:
      - /dev/fuse
      - "/dev/a:/dev/x:r"
      - {source: /dev/b, target: /dev/y, permissions: rw}
      - {source: /dev/c}`);
  const second = "services: {web: {devices: ['/dev/z:/dev/x'], labels: {own: l}}}";
  const { file, remarks } = await load([first, second]);
  strictEqual(remarks.unsupported.size, 0);
  const [spec] = desiredStack("shop", file).services;
  const container = spec!.TaskTemplate!.ContainerSpec!;
  strictEqual(isPrivileged(container), true);
  strictEqual(container.Labels?.["own"], "l");
  deepStrictEqual(
    devicesOf(container).map((one) => [one.host, one.container, one.permissions]),
    [
      ["/dev/fuse", "/dev/fuse", "rwm"],
      ["/dev/z", "/dev/x", "rwm"],
      ["/dev/b", "/dev/y", "rw"],
      ["/dev/c", "/dev/c", "rwm"],
    ],
  );
  deepStrictEqual((await load(configText(file))).file.services, file.services);
  // Without them, or against them, there is no label.
  const { file: none } = await load([
    first,
    "services: {web: {privileged: false, devices: !reset []}}",
  ]);
  deepStrictEqual(desiredStack("shop", none).services[0]!.TaskTemplate!.ContainerSpec!.Labels, {
    "com.docker.stack.namespace": "shop",
  });
  match(
    await refusal(web("    devices: [fuse]")),
    /^a\.yml:4:15: services\.web\.devices\[0\]: .*write it as/,
  );
  match(await refusal(web("    devices: ['vendor.com/gpu=all']")), /devices\[0\]: .*write it as/);
  match(await refusal(web("    devices: ['/dev/a,/dev/b']")), /devices\[0\]: .*comma/);
});
