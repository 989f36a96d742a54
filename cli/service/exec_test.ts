import assert from "node:assert/strict";
import { writeAll } from "../../src/base/duplex.ts";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { Answer } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { answerFixture, NODES, SERVICES, TASKS } from "../testing/fixture.ts";

const CONTAINER = "c".repeat(64);
const EXEC = `${"e".repeat(64)}.${"t".repeat(25)}`;
const encoder = new TextEncoder();

function frame(stream: number, text: string): Uint8Array {
  const payload = encoder.encode(text);
  const out = new Uint8Array(8 + payload.length);
  out[0] = stream;
  new DataView(out.buffer).setUint32(4, payload.length);
  out.set(payload, 8);
  return out;
}

/** An agent whose commands say `said` and what they were typed, and end with 42. */
class ExecAgent implements AsyncDisposable {
  readonly host: string;
  readonly agent: FakeAgent;
  /** Bodies of the requests that started a command. */
  readonly started: unknown[] = [];
  readonly heard: string[] = [];
  /** What the engine says of a command's end. */
  exit: () => unknown = () => ({ ExitCode: 42, Running: false });
  readonly #folder = Deno.makeTempDirSync({ prefix: "fleet-exec-" });
  readonly #listener: Deno.UnixListener;

  constructor(readonly start: "frames" | "raw" | "refuse", answer: Answer = answerFixture) {
    this.agent = new FakeAgent((request) => {
      if (request.path === `/containers/${CONTAINER}/exec`) return { Id: EXEC };
      if (request.path === `/exec/${EXEC}/json`) return this.exit();
      if (request.path === `/exec/${EXEC}/resize`) return new Response(null, { status: 201 });
      if (request.path === "/tasks") {
        // As a manager filters.
        const { service } = JSON.parse(request.query["filters"] ?? "{}");
        return tasks.filter((task) => task.ServiceID in service && task.DesiredState === "running");
      }
      return answer(request);
    });
    const path = `${this.#folder}/agent.sock`;
    this.host = `unix://${path}`;
    this.#listener = Deno.listen({ transport: "unix", path });
    void this.#accept();
  }

  async #accept() {
    for await (const connection of this.#listener) void this.#serve(connection);
  }

  /** Starts commands itself, and passes on what else is asked. */
  async #serve(client: Deno.UnixConn) {
    const buffer = new Uint8Array(64 * 1024);
    const count = await client.read(buffer) ?? 0;
    const text = new TextDecoder().decode(buffer.subarray(0, count));
    if (!/^POST \/exec\/[^/]+\/start /.test(text)) {
      const agent = await Deno.connect({
        transport: "unix",
        path: this.agent.host.slice("unix://".length),
      });
      await writeAll(agent, buffer.subarray(0, count));
      void client.readable.pipeTo(agent.writable).catch(() => {});
      await agent.readable.pipeTo(client.writable).catch(() => {});
      return;
    }
    let whole = text;
    while (!/\r\n\r\n\{.*\}$/s.test(whole)) {
      const more = await client.read(buffer) ?? 0;
      whole += new TextDecoder().decode(buffer.subarray(0, more));
    }
    this.started.push(JSON.parse(whole.split("\r\n\r\n")[1]!));
    assert.match(whole, /\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/);
    if (this.start === "refuse") {
      const body = JSON.stringify({ message: "container is paused" });
      const head = `HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\n\r\n`;
      await writeAll(client, encoder.encode(head + body));
    } else {
      const head = encoder.encode(
        "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
      );
      // The first words come together with the head.
      const first = this.start === "raw" ? encoder.encode("out\r\n") : frame(1, "out\n");
      await writeAll(client, new Uint8Array([...head, ...first]));
      const stdin = this.agent.requests.some(({ body }) =>
        (body as { AttachStdin?: boolean } | undefined)?.AttachStdin
      );
      if (stdin) {
        const { value } = await client.readable[Symbol.asyncIterator]().next();
        this.heard.push(new TextDecoder().decode(value));
      }
      if (this.start === "frames") await writeAll(client, frame(2, "err\n")).catch(() => {});
    }
    try {
      client.close();
    } catch {
      // Closed with its stream.
    }
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    await this.agent[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

const tasks = TASKS.map((task) => ({
  ...task,
  Status: {
    ...task.Status,
    ...(task.Status.State === "running"
      ? { ContainerStatus: { ContainerID: containerOf(task.ID) } }
      : {}),
  },
}));
function containerOf(id: string): string {
  return id.startsWith("t1") ? CONTAINER : id.slice(0, 2).repeat(32);
}

Deno.test("service exec gives both streams and the command's exit code", async () => {
  await using agent = new ExecAgent("frames");
  const flags = ["-e", "A=b c", "--env", "B=", "-u", "www", "-w", "/srv"];
  const { code, out, err } = await runFleet(
    ["service", "exec", ...flags, "web2", "--", "ls", "-l", "--", "-x"],
    { host: agent.host },
  );
  assert.deepEqual({ code, out, err }, { code: 42, out: "out\n", err: "err\n" });
  assert.deepEqual(agent.agent.writes.map(({ path, body }) => ({ path, body })), [{
    path: `/containers/${CONTAINER}/exec`,
    body: {
      Cmd: ["ls", "-l", "--", "-x"],
      Tty: false,
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      Env: ["A=b c", "B="],
      User: "www",
      WorkingDir: "/srv",
    },
  }]);
  assert.deepEqual(agent.started, [{ Detach: false, Tty: false }]);
});

Deno.test("service exec waits until the engine knows how the command ended, not for ever", async () => {
  await using agent = new ExecAgent("frames");
  let looks = 0;
  agent.exit = () =>
    ++looks < 3 ? { ExitCode: null, Running: true } : { ExitCode: 0, Running: false };
  const exec = () => runFleet(["service", "exec", "web2", "true"], { host: agent.host });
  assert.deepEqual({ code: (await exec()).code, looks }, { code: 0, looks: 3 });
  agent.exit = () => ({ ExitCode: null, Running: true });
  const { code, err } = await exec();
  assert.deepEqual(
    { code, err },
    { code: 1, err: "err\nerror: the connection to web2 ended before the command\n" },
  );
});

Deno.test("service exec passes standard input on, and its terminal's size", async () => {
  {
    await using agent = new ExecAgent("frames");
    const { code } = await runFleet(["service", "exec", "-i", "web2", "cat"], {
      host: agent.host,
      stdin: "typed\n",
    });
    assert.equal(code, 42);
    assert.deepEqual(agent.heard, ["typed\n"]);
  }
  await using agent = new ExecAgent("raw");
  const { code, out, env } = await runFleet(["service", "exec", "-it", "web2", "sh"], {
    host: agent.host,
    stdin: "exit 42\n",
    isTTY: true,
    columns: 99,
  });
  assert.deepEqual({ code, out }, { code: 42, out: "out\r\n" });
  assert.deepEqual(env.rawModes, [true, false]);
  assert.deepEqual(agent.started, [{ Detach: false, Tty: true, ConsoleSize: [24, 99] }]);
  const resize = agent.agent.requests.find(({ path }) => path.endsWith("/resize"));
  assert.deepEqual(resize?.query, { h: "24", w: "99" });
});

Deno.test("exec takes its flags behind the name, too, and leaves the command's alone", async () => {
  const cases: [string[], string[], Record<string, unknown>][] = [
    [["web2", "-e", "A=b", "--", "ls", "-l"], ["ls", "-l"], { Env: ["A=b"] }],
    [["-w", "/srv", "web2", "-u", "www", "ls", "-u"], ["ls", "-u"], {
      User: "www",
      WorkingDir: "/srv",
    }],
    [["web2", "-iu", "www", "--", "--", "x"], ["--", "x"], { User: "www", AttachStdin: true }],
    [["web2", "env", "-i"], ["env", "-i"], { AttachStdin: false }],
  ];
  for (const [args, Cmd, more] of cases) {
    await using agent = new ExecAgent("frames");
    const { code, err } = await runFleet(["exec", ...args], { host: agent.host, stdin: "x" });
    assert.deepEqual({ args, code, err }, { args, code: 42, err: "err\n" });
    const body = agent.agent.writes[0]!.body as Record<string, unknown>;
    assert.deepEqual({ ...body, Cmd, ...more }, body);
  }
});

Deno.test("service exec finds tasks by slot, hostname, node, name and id", async () => {
  const task = TASKS[1]!;
  const references = [
    "web2",
    "web2.2",
    "web2.h1",
    `web2.${NODES[1]!.ID}`,
    `web2.2.${task.ID}`,
  ];
  for (const reference of references) {
    await using agent = new ExecAgent("frames");
    const { code, err } = await runFleet(["service", "exec", reference, "true"], {
      host: agent.host,
    });
    assert.deepEqual({ reference, code, err }, { reference, code: 42, err: "err\n" });
  }
  await using agent = new ExecAgent(
    "frames",
    (request) => request.path === `/tasks/${task.ID}` ? tasks[1] : answerFixture(request),
  );
  assert.equal(
    (await runFleet(["service", "exec", task.ID, "true"], { host: agent.host })).code,
    42,
  );
});

Deno.test("service exec says what does not run, and what the agent refuses", async () => {
  const pending = TASKS[3]!;
  await using agent = new ExecAgent(
    "refuse",
    (request) => request.path === `/tasks/${pending.ID}` ? tasks[3] : answerFixture(request),
  );
  const batch = SERVICES[3]!.Spec.Name;
  const cases: [string[], number, string][] = [
    [["web2"], 2, "error: name the command to run\n"],
    [["web2", "--"], 2, "error: name the command to run\n"],
    [["-it", "web2", "sh"], 2, "error: standard input is no terminal: leave -t out\n"],
    [["gone", "sh"], 1, 'error: no such service or task: gone; see "fleet list"\n'],
    [["gone.1", "sh"], 1, 'error: no such service or task: gone.1; see "fleet list"\n'],
    [["wbe2", "sh"], 1, "error: no such service or task: wbe2; did you mean web2?\n"],
    [["web2.1", "sh"], 1, "error: no task runs at web2.1: web2.2, web2.10 do\n"],
    [["agent.h2", "sh"], 1, "error: no task runs at agent.h2: agent.h1 does\n"],
    [["batch.1", "sh"], 1, "error: no task runs at batch.1: none of the service does\n"],
    [
      [batch, "sh"],
      1,
      `error: no task of service ${batch} runs: see "fleet service ps ${batch}"\n`,
    ],
    [[pending.ID, "sh"], 1, `error: task ${pending.ID} does not run: it is pending\n`],
    [["web2", "sh"], 1, "Error response from daemon: container is paused\n"],
  ];
  for (const [args, code, err] of cases) {
    const seen = await runFleet(["service", "exec", ...args], { host: agent.host });
    assert.deepEqual({ args, code: seen.code, err: seen.err }, { args, code, err });
  }
  await using worker = new FakeAgent(() => refusal(503, "This node is not a swarm manager."));
  const seen = await runFleet(["service", "exec", "web2", "sh"], { host: worker.host });
  assert.deepEqual(
    { code: seen.code, err: seen.err },
    { code: 1, err: "Error response from daemon: This node is not a swarm manager.\n" },
  );
});
