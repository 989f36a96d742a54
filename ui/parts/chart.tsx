import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** Points of replicas over time: `[seconds since 1970, running, wanted]`. */
export type Point = readonly [number, number, number];

const HEIGHT = 180;
const TIME_AXIS = [
  [86_400, "{D}.{M}.", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D}.{M}.", null, null, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
] as unknown as uPlot.Axis.Values;

/** A canvas does not know the page's variables: the browser has to work them out for some element. */
function colour(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`;
  const found = getComputedStyle(element).color;
  element.style.color = "";
  return found;
}

/** Steps: a number of tasks holds until the next change. */
export function ReplicaChart(
  { points, label, loading }: {
    readonly points: readonly Point[];
    readonly label: string;
    readonly loading: boolean;
  },
) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const chart = drawIn(element, points);
    plot.current = chart;
    const watch = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: HEIGHT })
    );
    watch.observe(element);
    const redraw = () => chart.redraw(false, true);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", redraw);
    const theme = new MutationObserver(redraw);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      scheme.removeEventListener("change", redraw);
      theme.disconnect();
      watch.disconnect();
      chart.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columns(points)), [points]);
  return (
    <div
      class={loading ? "chart loading" : "chart"}
      ref={box}
      role="img"
      aria-label={label}
    />
  );
}

function drawIn(element: HTMLElement, points: readonly Point[]): uPlot {
  // Colours are asked for at every drawing, so that they follow a change of theme.
  const line = { stroke: () => colour(element, "--line"), width: 1 };
  const axis = { stroke: () => colour(element, "--text-soft"), grid: line, ticks: line };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const steps = { points: { show: false }, ...(stepped ? { paths: stepped } : {}) };
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, Math.ceil(max * 1.1))] } },
      axes: [
        { ...axis, values: TIME_AXIS, space: 75 },
        { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      ],
      series: [
        {},
        {
          ...steps,
          label: "running",
          stroke: () => colour(element, "--ok"),
          fill: () => colour(element, "--ok-soft"),
          width: 2,
        },
        {
          ...steps,
          label: "wanted",
          stroke: () => colour(element, "--text-soft"),
          dash: [4, 4],
          width: 1,
        },
      ],
    },
    columns(points),
    element,
  );
}

function columns(points: readonly Point[]): uPlot.AlignedData {
  return [points.map(([t]) => t), points.map(([, n]) => n), points.map(([, , n]) => n)];
}
