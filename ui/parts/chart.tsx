import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** Points of replicas over time: `[seconds since 1970, running, wanted]`. */
export type Point = readonly [number, number, number];

const HEIGHT = 180;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Steps: a number of tasks holds until the next change. */
export function ReplicaChart({ points, label }: { points: readonly Point[]; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    const axis = { stroke: colour("--text-soft"), grid: { stroke: colour("--line"), width: 1 } };
    const chart = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, Math.ceil(max * 1.1))] } },
        axes: [axis, { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }],
        series: [
          {},
          {
            label: "running",
            stroke: colour("--ok"),
            fill: colour("--ok-soft"),
            width: 2,
            ...(stepped ? { paths: stepped } : {}),
          },
          {
            label: "wanted",
            stroke: colour("--text-soft"),
            dash: [4, 4],
            width: 1,
            ...(stepped ? { paths: stepped } : {}),
          },
        ],
      },
      columns(points),
      element,
    );
    plot.current = chart;
    const watch = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: HEIGHT })
    );
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columns(points)), [points]);
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

function columns(points: readonly Point[]): uPlot.AlignedData {
  return [points.map(([t]) => t), points.map(([, n]) => n), points.map(([, , n]) => n)];
}
