import type { LabHost } from "../../../src/adapters/lab_hosts/host.ts";
import { must } from "../../../src/adapters/lab_hosts/process.ts";
import { fromRoot } from "../../../scripts/run.ts";
import { until } from "../../support/until.ts";

/** Fetches inside the host's network namespace, as JSON. */
export async function getIn(host: LabHost, url: string): Promise<unknown> {
  const script = `console.log(await (await fetch(${JSON.stringify(url)})).text())`;
  const enter = ["nsenter", `--net=/run/netns/${host.layout.namespace}`];
  const text = await must([...enter, Deno.execPath(), "eval", "--no-config", script], {
    timeoutMs: 60_000,
  });
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Prometheus on the host's loopback address with this repository's rules; `metrics` is scraped. */
export async function withPrometheus(
  host: LabHost,
  metrics: string,
  body: () => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-prometheus-" });
  await Deno.writeTextFile(
    `${folder}/prometheus.yml`,
    `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["${fromRoot("contrib/prometheus/alerts.yml")}"]
scrape_configs:
  - job_name: fleet
    static_configs: [{ targets: ["${metrics}"] }]
  - job_name: found
    dockerswarm_sd_configs:
      - { host: "unix://${host.layout.fleetSocket}", role: nodes, refresh_interval: 1s }
    relabel_configs:
      - { source_labels: [__meta_dockerswarm_node_address], target_label: __address__, replacement: "$1:9323" }
  - job_name: tasks
    dockerswarm_sd_configs:
      - { host: "unix://${host.layout.fleetSocket}", role: tasks, refresh_interval: 1s }
`,
  );
  await must(["promtool", "check", "config", `${folder}/prometheus.yml`]);
  const child = new Deno.Command("nsenter", {
    args: [
      `--net=/run/netns/${host.layout.namespace}`,
      "prometheus",
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      "--web.listen-address=127.0.0.1:9090",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until(
      "Prometheus answers",
      () =>
        getIn(host, "http://127.0.0.1:9090/-/ready").then(
          (text) => String(text).includes("Ready"),
          () => false,
        ),
    );
    await body();
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}
