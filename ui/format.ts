/** `3 s`, `5 min`, `2 h`, `4 d`: how long ago `ms` was. */
export function ago(ms: number, now = Date.now()): string {
  if (ms === 0) return "never";
  return span(Math.max(0, now - ms));
}

export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 90) return `${s} s`;
  const min = Math.round(s / 60);
  if (min < 90) return `${min} min`;
  const h = Math.round(min / 60);
  return h < 48 ? `${h} h` : `${Math.round(h / 24)} d`;
}

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  let value = n;
  for (; value >= 1024 && i < units.length - 1; i++) value /= 1024;
  return `${value >= 100 || i === 0 ? Math.round(value) : value.toFixed(1)} ${units[i]}`;
}

export function cpus(nano: number): string {
  const value = nano / 1e9;
  return `${Number.isInteger(value) ? value : value.toFixed(2)} CPU`;
}

export function shortId(id: string): string {
  return id.slice(0, 12);
}

export function clockTime(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** A colour of its own for a name, the same on every page and in every browser. */
export function hueOf(name: string): number {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return Math.round(((hash >>> 0) * 137.508) % 360);
}

/** How a task is, as a colour and a word. */
export function toneOf(state: string, desired: string): "ok" | "busy" | "bad" | "idle" {
  if (state === "running") return desired === "running" ? "ok" : "busy";
  if (state === "failed" || state === "rejected" || state === "orphaned") return "bad";
  if (state === "complete" || state === "shutdown" || state === "remove") return "idle";
  return "busy";
}

/** Without escape sequences and other control characters: logs are text here. */
export function plain(text: string): string {
  return text
    // deno-lint-ignore no-control-regex -- these are what is removed
    .replaceAll(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b./g, "")
    // deno-lint-ignore no-control-regex -- these are what is removed
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
}
