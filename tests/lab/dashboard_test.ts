import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { must } from "../../src/adapters/lab_hosts/process.ts";
import { fromRoot } from "../../scripts/run.ts";
import { launchBrowser, newPage } from "../browser/support/browser.ts";
import { violations } from "../browser/support/accessibility.ts";
import { BINARY, type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { getIn, withPrometheus } from "./support/prometheus.ts";
import { expressions, metricsOf, scraped } from "../support/prometheus_names.ts";
import { until } from "../support/until.ts";

const UI = "http://127.0.0.1:2380";
const METRICS = "127.0.0.1:9323";
const AGENT_ARGS = ["--ui-addr", "127.0.0.1:2380", "--metrics-addr", METRICS];
/** Looked at by people after a run; CI keeps nothing, so they are made anew every time. */
const SHOTS = fromRoot("dist/screenshots");
const EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
const TIMEOUT_MS = 120_000;
/** What Core Web Vitals call good, of the cumulative layout shift. */
const GOOD_SHIFT = 0.1;

declare global {
  /** In the page: how much each layout shift moved, and when. */
  var shifts: { readonly startTime: number; readonly value: number }[];
}
const VALUE = "the-value-of-a-secret";
const STACK = `
services:
  db:
    image: busybox
    command: sleep 1000
    deploy: { replicas: 1 }
    secrets: [token]
    networks: [back]
secrets: { token: { file: ./token } }
networks: { back: }
`;

const boxes = (page: Page, service: string) =>
  page.locator(`.box.tone-ok:has(.box-name:text-matches("^${service}\\\\."))`);

async function link(lab: FleetLab, ...flags: string[]): Promise<string> {
  return (await lab.fleet("h1", "ui", "-q", ...flags)).trim();
}

async function logIn(context: BrowserContext, url: string) {
  const opened = await newPage(context);
  opened.page.setDefaultTimeout(TIMEOUT_MS);
  await opened.page.goto(url);
  await opened.page.waitForSelector("[data-link=live]");
  return opened;
}

const open = async (page: Page, hash: string) => {
  await page.goto(`${UI}/${hash}`);
  await page.waitForSelector("main h1");
};

/** Waits until a page's element is there, from the time of `begin` on; how long that took. */
async function timed(page: Page, selector: string, begin: () => Promise<void> | void) {
  const started = performance.now();
  await begin();
  await page.waitForSelector(selector, { timeout: TIMEOUT_MS });
  return performance.now() - started;
}

Deno.test("the dashboard and the metrics of a cluster that runs", async (t) => {
  await withFleetLab("dashboard", 2, async (lab) => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    await lab.form();
    const loop = "while true; do echo hello from $(hostname); sleep 1; done";
    const quick = [
      "--stop-grace-period",
      "1s",
      "--update-parallelism",
      "0",
      "--update-monitor",
      "1s",
    ];
    const back = ["--rollback-parallelism", "0", "--rollback-monitor", "1s"];
    const create = ["service", "create", "-q", "--no-resolve-image", ...quick, ...back, "--name"];
    await lab.fleet(
      "h1",
      ...create,
      "web",
      "--replicas",
      "3",
      "-p",
      "8080:80",
      "busybox",
      "sh",
      "-c",
      loop,
    );
    const evil = `echo '${EVIL}'; printf '\\033[31mred\\033[0m\\007\\n'; ` +
      "head -c 1000000 /dev/zero | tr '\\0' x; echo; while true; do sleep 9; done";
    await lab.fleet(
      "h1",
      ...create,
      "evil",
      "-l",
      `note=${EVIL}`,
      "-e",
      `X=${EVIL}`,
      "busybox",
      "sh",
      "-c",
      evil,
    );
    await lab.fleet(
      "h1",
      ...create,
      "too-big",
      "-d",
      "--reserve-memory",
      "900g",
      "busybox",
      "true",
    );
    const browser = await launchBrowser(h1.layout.namespace);
    try {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
      const url = await link(lab);
      await context.addInitScript(() => {
        globalThis.shifts = [];
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            const { startTime, value } = entry as PerformanceEntry & { readonly value: number };
            shifts.push({ startTime, value });
          }
        }).observe({ type: "layout-shift" });
      });
      const { page, complaints } = await logIn(context, url);
      const web = (await lab.fleet("h1", "service", "inspect", "web", "--format", "{{.ID}}"))
        .trim();
      const task = (await lab.running("web")).find(({ NodeID }) => NodeID !== undefined)!;

      await t.step("a link works once, and says so the second time", async () => {
        const stranger = await (await browser.newContext()).newPage();
        await stranger.goto(url);
        await stranger.waitForSelector("text=used already");
        await stranger.context().close();
      });

      await t.step(
        "a service is scaled with the plan shown first, and one watches it",
        async () => {
          await open(page, "#/");
          await boxes(page, "web").nth(2).waitFor();
          assert.match((await page.textContent(".reasons"))!, /too-big.*no suitable node/s);
          assert.match((await page.textContent("[data-tolerance]"))!, /Leader h1.*1 manager/);
          await open(page, `#/service/${web}`);
          await page.click("text=Scale…");
          await page.fill("dialog input", "5");
          assert.match((await page.textContent(".plan"))!, /2 more tasks will start; 3 run now/);
          await page.click("text=Scale to 5");
          await page.waitForSelector("text=5 of 5 running");
          await open(page, "#/");
          await boxes(page, "web").nth(4).waitFor();
        },
      );

      await t.step("an update is seen as it goes on, and can be rolled back", async () => {
        await open(page, `#/service/${web}`);
        // Watched from before on: it may be over when the command has ended.
        await Promise.all([
          page.waitForSelector(".update:has-text('updating')"),
          lab.fleet("h1", "service", "update", "-d", "-q", "--env-add", "A=1", "web"),
        ]);
        await page.waitForSelector(".update:has-text('completed')", { timeout: TIMEOUT_MS });
        await page.click("text=Roll back…");
        await page.waitForSelector(".diff:has-text('A=1')");
        await page.click("dialog button.danger");
        await page.waitForSelector(".update:has-text('rollback completed')", {
          timeout: TIMEOUT_MS,
        });
      });

      await t.step(
        "a node's page says what it is, and a service's who answers its port",
        async () => {
          for (const host of [h1, h2]) {
            const id = (await lab.fleet("h1", "node", "inspect", host.name, "--format", "{{.ID}}"))
              .trim();
            await open(page, `#/node/${id}`);
            const fact = async (name: string, words: RegExp) => {
              const said = page.locator(`dt:text-is("${name}") + dd`);
              await until(
                `${host.name}: ${name}`,
                async () => words.test((await said.textContent()) ?? ""),
                TIMEOUT_MS,
              );
            };
            const kernel = (await host.exec(["uname", "-r"])).stdout.trim();
            await fact("Kernel", new RegExp(`^${RegExp.escape(kernel)}$`));
            await fact("Docker Engine", /^\d+\.\d+.*, .*cgroups/);
            await fact("Platform", /^linux\/\S+, \S/);
            await fact("Routing mesh", /^(nftables|ipvs)$/);
            await fact(
              "Drift",
              /^\d+ differences in the kernel found and repaired in [1-9]\d* looks$/,
            );
            await fact("Certificate", /^\d+ days left$/);
            await fact("Disk", /free$/);
            await page.waitForSelector("text=Drain…");
          }
          await open(page, `#/service/${web}`);
          await page.waitForSelector(`text=answered by: h1 (${h1.address}), h2 (${h2.address})`);
          await open(page, "#/networks");
          await page.waitForSelector("tr:has-text('ingress') >> text=/^\\d+ of \\d+$/");
        },
      );

      await t.step("a terminal opens on another node, and one types", async () => {
        const remote = (await lab.running("web")).find(({ NodeID }) => NodeID !== task.NodeID) ??
          task;
        await open(page, `#/terminal/${remote.ID}`);
        await page.waitForSelector("[data-terminal=connected]");
        await page.keyboard.type("echo $((6*7))-$(hostname)\n");
        const container = remote.Status.ContainerStatus!.ContainerID!.slice(0, 12);
        await page.waitForSelector(`.xterm:has-text("42-${container}")`);
      });

      await t.step("logs of all nodes come together; hostile ones are only text", async () => {
        await open(page, `#/logs/service/${web}`);
        await page.waitForSelector(".log-line:has-text('hello from')");
        await page.fill("input[type=search]", "no such line");
        await page.waitForSelector("text=No line has this");
        const id = (await lab.fleet("h1", "service", "inspect", "evil", "--format", "{{.ID}}"))
          .trim();
        await open(page, `#/logs/service/${id}`);
        await page.waitForSelector(".log-line:has-text('<script>')");
        await page.waitForSelector(".log-line:has-text('red')");
        assert.doesNotMatch((await page.textContent(".log"))!, /\[31m/);
        assert.ok((await page.textContent(".log"))!.length < 500_000);
        await open(page, `#/service/${id}`);
        await page.waitForSelector("code:has-text('onerror')");
        assert.equal(await page.evaluate("window.hacked"), undefined);
      });

      await t.step("a session for looking cannot change or type", async () => {
        const watcher = await logIn(await browser.newContext(), await link(lab, "--read-only"));
        await open(watcher.page, `#/service/${web}`);
        await watcher.page.waitForSelector("text=5 of 5 running");
        assert.equal(await watcher.page.locator("text=Scale…").count(), 0);
        const status = await watcher.page.evaluate(async (id) => {
          const { csrf } = await (await fetch("/session")).json();
          const answer = await fetch(`/api/services/${id}/update?version=1`, {
            method: "POST",
            headers: { "x-fleet-csrf": csrf },
            body: "{}",
          });
          return answer.status;
        }, web);
        assert.equal(status, 403);
        await watcher.page.context().close();
      });

      await t.step("a compose file is compared with what runs", async () => {
        const compare = async (text: string) => {
          await open(page, "#/stacks");
          await page.fill("input[list]", "shop");
          await page.setInputFiles("input[type=file]", {
            name: "compose.yaml",
            mimeType: "application/yaml",
            buffer: Buffer.from(text),
          });
        };
        await compare(STACK);
        await page.waitForSelector("[data-plan]:has-text('service shop_db: is created')");
        const folder = await Deno.makeTempDir({ prefix: "fleet-stack-" });
        await Deno.writeTextFile(`${folder}/token`, VALUE);
        await Deno.writeTextFile(`${folder}/compose.yaml`, STACK);
        const deploy = ["stack", "deploy", "-d", "--resolve-image", "never", "-c"];
        await lab.fleet("h1", ...deploy, `${folder}/compose.yaml`, "shop");
        await Deno.remove(folder, { recursive: true });
        await page.waitForSelector("table:has-text('shop_db')");
        await compare(STACK.replace("replicas: 1", "replicas: 3"));
        await page.waitForSelector("[data-plan]:has-text('Replicas')");
        assert.match((await page.textContent("[data-plan]"))!, /shop_db[^]*1[^]*3/);
      });

      await t.step("secrets and networks are shown by name and user, never by value", async () => {
        await open(page, "#/files");
        await page.waitForSelector("tr:has-text('shop_token'):has-text('shop_db')");
        await open(page, "#/networks");
        await page.waitForSelector("tr:has-text('shop_back'):has-text('shop_db')");
        await page.waitForSelector("tr:has-text('ingress'):has-text('web')");
        const whole = await page.evaluate(async () => await (await fetch("/live/snapshot")).text());
        assert.match(whole, /shop_token/);
        assert.ok(!whole.includes(VALUE) && !whole.includes(btoa(VALUE)));
      });

      await t.step("the keyboard alone is enough", async () => {
        await open(page, "#/");
        // From the top: what had the focus before is where Tab would go on.
        await page.reload();
        await page.waitForSelector("[data-link=live]");
        const focused = () =>
          page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
        await page.keyboard.press("Tab");
        assert.equal(await focused(), "To the content");
        const reached = new Set<string>();
        for (let i = 0; i < 40; i++) {
          await page.keyboard.press("Tab");
          reached.add(await focused());
        }
        for (const name of ["Services", "Audit", "h1", "web.1"]) {
          assert.ok([...reached].some((text) => text.includes(name)), `${name} is not reached`);
        }
        await open(page, `#/service/${web}`);
        await page.focus("text=Scale…");
        await page.keyboard.press("Enter");
        await page.waitForSelector("dialog[open]");
        await page.keyboard.press("Escape");
        await page.waitForSelector("dialog[open]", { state: "detached" });
        assert.equal(await focused(), "Scale…");
      });

      await t.step("every page is accessible, in light and in dark, wide and narrow", async () => {
        await Deno.mkdir(SHOTS, { recursive: true });
        const [shown] = await lab.running("web");
        /** What a page is for; where it says nothing, its head is enough. */
        const ready: Record<string, string> = {
          logs: ".log-line",
          terminal: "[data-terminal=connected]",
          events: "td",
          node: "dd:text('days left')",
        };
        const pages = {
          topology: "#/",
          services: "#/services",
          service: `#/service/${web}`,
          stacks: "#/stacks",
          nodes: "#/nodes",
          node: `#/node/${task.NodeID}`,
          networks: "#/networks",
          files: "#/files",
          logs: `#/logs/service/${web}`,
          terminal: `#/terminal/${shown!.ID}`,
          events: "#/events",
          audit: "#/audit",
        };
        for (const [theme, width] of [["light", 1280], ["dark", 390]] as const) {
          await page.emulateMedia({ colorScheme: theme });
          await page.setViewportSize({ width, height: 860 });
          for (const [name, hash] of Object.entries(pages)) {
            const since = await page.evaluate(async () => {
              // The change of the window's size moves everything, in the next frame.
              for (let i = 0; i < 2; i++) await new Promise((done) => requestAnimationFrame(done));
              return performance.now();
            });
            await open(page, hash);
            await page.waitForFunction(() => !document.querySelector(".skeleton, .loading"));
            if (ready[name]) await page.waitForSelector(ready[name]);
            const shifted = await page.evaluate(
              (since) => shifts.reduce((sum, s) => s.startTime < since ? sum : sum + s.value, 0),
              since,
            );
            assert.ok(shifted <= GOOD_SHIFT, `${name} in ${theme}: layout shift ${shifted}`);
            await page.screenshot({ path: `${SHOTS}/${name}-${theme}-${width}.png` });
            assert.deepEqual(await violations(page), [], `${name} in ${theme}`);
            const sideways = await page.evaluate(() =>
              document.documentElement.scrollWidth - document.documentElement.clientWidth
            );
            assert.equal(sideways, 0, `${name} scrolls sideways at ${width}`);
          }
        }
        await page.setViewportSize({ width: 1280, height: 860 });
      });

      await t.step("who did what is in the audit log", async () => {
        const lines = await lab.fleet(
          "h1",
          "audit",
          "--format",
          "{{.Actor}} {{.Action}} {{.Object}} {{.Result}}",
        );
        assert.match(lines, /^root \(uid 0\) service\.create web done$/m);
        assert.match(lines, /^dashboard \(operator of root \(uid 0\)\) service\.update web done$/m);
        assert.match(
          lines,
          /^dashboard \(operator of root \(uid 0\)\) terminal\.open web\.\d\S* done$/m,
        );
        await lab.try("h1", ...create, "web", "-d", "busybox");
        await until("the refusal is noted", async () =>
          /service\.create web .*name conflict/.test(
            await lab.fleet(
              "h1",
              "audit",
              "--filter",
              "result=refused",
              "--format",
              "{{.Action}} {{.Object}} {{.Result}}",
            ),
          ));
      });

      await t.step("events begin in the past, with reasons", async () => {
        const now = Math.ceil(Date.now() / 1000);
        const events = await lab.fleet(
          "h1",
          "events",
          "--since",
          "10m",
          "--until",
          String(now),
          "--filter",
          "service=too-big",
        );
        assert.match(events, / service create /);
        assert.match(events, / task update .*error=no suitable node/);
      });

      await t.step("a real Prometheus scrapes it, and finds the nodes over the API", async () => {
        await withPrometheus(h1, METRICS, async () => {
          const ask = async (query: string) => {
            const at = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(query)}`;
            const { data } = await getIn(h1, at) as {
              data: { result: { metric: Record<string, string>; value: [number, string] }[] };
            };
            return data.result;
          };
          await until(
            "both ways of finding targets",
            async () =>
              (await ask('up{job="fleet"} == 1')).length === 1 &&
              (await ask('up{job="found"}')).length === 2,
            90_000,
            500,
          );
          assert.equal(
            (await ask('fleet_service_replicas_running{service="web"}'))[0]!.value[1],
            "5",
          );
          assert.equal((await ask("fleet_raft_leader"))[0]!.value[1], "1");
          assert.ok(
            Number((await ask('fleet_scheduler_refusals_total{reason="resources"}'))[0]!.value[1]) >
              0,
          );
          for (const { from, expr } of await expressions()) {
            const at = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(expr)}`;
            const { status } = await getIn(h1, at) as { status: string };
            assert.equal(status, "success", `${from}: ${expr}`);
          }
          const rules = await getIn(h1, "http://127.0.0.1:9090/api/v1/rules") as {
            data: { groups: { rules: { health: string; lastError?: string }[] }[] };
          };
          for (const rule of rules.data.groups.flatMap((group) => group.rules)) {
            assert.notEqual(rule.health, "err", rule.lastError);
          }
        });
        const text = await getIn(h1, `http://${METRICS}/metrics`) as string;
        await must(["promtool", "check", "metrics"], { stdin: text });
        const there = scraped(text);
        for (const { from, expr } of await expressions()) {
          for (const name of metricsOf(expr)) assert.ok(there.has(name), `${from}: no ${name}`);
        }
        assert.match(text, /^fleet_mesh_backend\{backend="(nftables|ipvs)"\} 1$/m);
        assert.match(text, /^fleet_mesh_virtual_servers\{kind="port"\} 1$/m);
        assert.match(text, /^fleet_mesh_real_servers\{kind="port",weight="1"\} 5$/m);
      });

      await t.step("a port that is taken is named, and the agent does not start", async () => {
        for (
          const [flag, address] of [["--ui-addr", "127.0.0.1:2380"], ["--metrics-addr", METRICS]]
        ) {
          const folder = await Deno.makeTempDir({ prefix: "fleet-second-" });
          const { code, stdout, stderr } = await h1.exec([
            ...[BINARY, "agent", "--data-dir", `${folder}/data`, "--socket", `${folder}/s.sock`],
            ...["--docker-host", `unix://${h1.layout.engineSocket}`, flag!, address!],
          ], { timeoutMs: TIMEOUT_MS });
          await Deno.remove(folder, { recursive: true });
          assert.notEqual(code, 0);
          const sentence = `${flag} ${address}: another program has this port; choose another one`;
          assert.ok((stdout + stderr).includes(sentence), stdout + stderr);
        }
      });

      // A machine without power says nothing at all: it is down after three missed heartbeats.
      await t.step("an agent that is killed is seen within 2 s", async () => {
        await open(page, "#/");
        const times: number[] = [];
        // A machine that does other work may be late once, but not every time.
        for (let i = 0; i < 3 && !times.some((ms) => ms < 2_000); i++) {
          await page.waitForSelector("[data-node=h2]:not(.down)", { timeout: TIMEOUT_MS });
          times.push(
            await timed(page, "[data-node=h2].down", () => h2.signal("agent", "SIGKILL")),
          );
          await h2.startAgent();
        }
        assert.ok(times.some((ms) => ms < 2_000), `${times.map(Math.round)} ms`);
        await page.waitForSelector("[data-node=h2]:not(.down)", { timeout: TIMEOUT_MS });
      });

      await t.step("a connection that is lost is told, and comes back by itself", async () => {
        h1.signal("agent", "SIGSTOP");
        try {
          await page.waitForSelector(".banner:has-text('lost')");
        } finally {
          h1.signal("agent", "SIGCONT");
        }
        await page.waitForSelector("[data-link=live]");
        await boxes(page, "web").nth(4).waitFor();
        // A new agent knows no sessions of old.
        await h1.stop("agent");
        await h1.startAgent();
        await page.waitForSelector("text=Your session has ended");
      });
      assert.deepEqual(complaints, []);
    } finally {
      await browser.close();
    }
  }, { agentArgs: AGENT_ARGS });
});
