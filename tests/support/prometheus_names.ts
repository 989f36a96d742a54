import { parse } from "yaml";
import { fromRoot } from "../../scripts/run.ts";

/** The part of a Grafana dashboard that tests look at. */
export interface GrafanaDashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string }[];
  };
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly datasource: { readonly type: string; readonly uid: string };
    readonly gridPos: {
      readonly x: number;
      readonly y: number;
      readonly w: number;
      readonly h: number;
    };
    readonly targets: readonly { readonly refId: string; readonly expr: string }[];
  }[];
}

export async function grafanaDashboard(): Promise<GrafanaDashboard> {
  return JSON.parse(await Deno.readTextFile(fromRoot("contrib/grafana/fleet.json")));
}

/** Every expression of the dashboard and the alert rules, with where it is from. */
export async function expressions(): Promise<{ readonly from: string; readonly expr: string }[]> {
  const { panels } = await grafanaDashboard();
  const rules = parse(await Deno.readTextFile(fromRoot("contrib/prometheus/alerts.yml"))) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  return [
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({ from: `panel ${title}`, expr }))
    ),
    ...rules.groups.flatMap(({ rules }) =>
      rules.map(({ alert, expr }) => ({ from: `alert ${alert}`, expr }))
    ),
  ];
}

/** Metrics that an expression names, without what Prometheus puts behind the name of a histogram. */
export function metricsOf(expr: string): string[] {
  const text = expr.replaceAll(/"[^"]*"/g, '""');
  return [...text.matchAll(/\b(?:fleet|process)_\w+/g)].map(([name]) =>
    name.replace(/_(bucket|sum|count)$/, "")
  );
}

/** Metrics that a scrape says it has, and the labels of their series. */
export function scraped(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of text.split("\n")) {
    const type = /^# TYPE (\w+) /.exec(line);
    if (type) found.set(type[1]!, new Set());
    const series = /^(\w+?)(?:_bucket|_sum|_count)?\{(.*)\}/.exec(line);
    if (!series) continue;
    const labels = found.get(series[1]!) ?? found.get(line.slice(0, line.indexOf("{")));
    for (const [, label] of series[2]!.matchAll(/(\w+)="/g)) labels?.add(label!);
  }
  return found;
}
