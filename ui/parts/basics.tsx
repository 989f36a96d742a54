import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Loaded } from "../hooks.ts";

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** Grey bars in the shape of what comes, so that nothing jumps when it does. */
export function Skeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => <div key={i} />)}
    </div>
  );
}

export function Failure({ message }: { message: string }) {
  return <p class="failure" role="alert">{message}</p>;
}

export function WhenLoaded<T>(
  { of, rows, children }: {
    of: Loaded<T>;
    rows?: number;
    children: (value: T) => ComponentChildren;
  },
) {
  if (of.kind === "loading") return <Skeleton {...(rows ? { rows } : {})} />;
  if (of.kind === "failed") return <Failure message={of.message} />;
  return <>{children(of.value)}</>;
}

export function Dot({ tone, label }: { tone: string; label?: string }) {
  return (
    <span class={`dot tone-${tone}`}>
      {label === undefined ? null : <span class="dot-label">{label}</span>}
    </span>
  );
}

/** A share as a bar with its numbers as text. */
export function Bar(
  { value, of, label, tone = "ok" }: { value: number; of: number; label: string; tone?: string },
) {
  const share = of > 0 ? Math.min(1, value / of) : 0;
  return (
    <span class="bar-row">
      <span
        class="bar"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={Math.max(of, value, 1)}
        aria-valuenow={value}
        aria-valuetext={label}
      >
        <span class={`bar-fill tone-${tone}`} style={{ width: `${share * 100}%` }} />
      </span>
      <span class="bar-label">{label}</span>
    </span>
  );
}

export function Facts({ rows }: { rows: Readonly<Record<string, ComponentChildren>> }) {
  return (
    <dl class="facts">
      {Object.entries(rows).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === "" || value === undefined ? "none" : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Labels({ of }: { of: Readonly<Record<string, string>> }) {
  const entries = Object.entries(of).sort(([a], [b]) => a < b ? -1 : 1);
  if (entries.length === 0) return <>none</>;
  return (
    <span class="chips">
      {entries.map(([key, value]) => (
        <span class="chip" key={key}>{value === "" ? key : `${key}=${value}`}</span>
      ))}
    </span>
  );
}

/** A table that scrolls sideways by itself on a narrow screen. */
export function Table(
  { caption, head, children }: {
    caption: string;
    head: readonly string[];
    children: ComponentChildren;
  },
) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>{head.map((name) => <th key={name} scope="col">{name}</th>)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export interface DialogProps {
  readonly title: string;
  readonly confirm: string;
  readonly danger?: boolean;
  /** What will happen, said before it does. */
  readonly children: ComponentChildren;
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before a change: shows the plan, then does it and shows what went wrong, if anything. */
export function Dialog({ title, confirm, danger, children, onConfirm, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => element.current?.showModal(), []);
  const run = async () => {
    setBusy(true);
    setError("");
    try {
      await onConfirm();
      onClose();
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
      setBusy(false);
    }
  };
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
      {error && <Failure message={error} />}
      <div class="buttons">
        <button type="button" onClick={() => element.current?.close()}>Cancel</button>
        <button
          type="button"
          class={danger ? "danger" : "primary"}
          disabled={busy}
          onClick={() => void run()}
        >
          {busy ? "Working…" : confirm}
        </button>
      </div>
    </dialog>
  );
}
