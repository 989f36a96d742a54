import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { store } from "./store.ts";

/** Draws again whenever the store changed. */
export function useStore(): typeof store {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.subscribe(() => again(0)), []);
  return store;
}

/** The time, every `periodMs`. */
export function useNow(periodMs = 1_000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), periodMs);
    return () => clearInterval(timer);
  }, [periodMs]);
  return now;
}

/** What is after the `#` of the address, cut at the slashes. */
export function useRoute(): readonly string[] {
  const parse = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [route, setRoute] = useState(parse);
  useEffect(() => {
    const onChange = () => setRoute(parse());
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return route;
}

export type Loaded<T> =
  | { readonly kind: "loading" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "there"; readonly value: T };

/** Loads something whenever `key` changes, and keeps what it had meanwhile. */
export function useLoaded<T>(
  key: unknown,
  load: (signal: AbortSignal) => Promise<T>,
): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({ kind: "loading" });
  const loader = useRef(load);
  loader.current = load;
  useEffect(() => {
    const controller = new AbortController();
    loader.current(controller.signal).then(
      (value) => controller.signal.aborted || setState({ kind: "there", value }),
      (error) =>
        controller.signal.aborted || setState({ kind: "failed", message: String(error.message) }),
    );
    return () => controller.abort();
  }, [key]);
  return state;
}
