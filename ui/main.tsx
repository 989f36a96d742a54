import "uplot/dist/uPlot.min.css";
import "@xterm/xterm/css/xterm.css";
import "./style.css";
import { Component, render } from "preact";
import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { closeSession, currentSession, openSession } from "./api.ts";
import { useNow, useRoute, useStore } from "./hooks.ts";
import { Audit, Events } from "./pages/events.tsx";
import { Logs } from "./pages/logs.tsx";
import { Node } from "./pages/node.tsx";
import { Nodes } from "./pages/nodes.tsx";
import { Files, Networks, Stacks } from "./pages/objects.tsx";
import { Service } from "./pages/service.tsx";
import { Services } from "./pages/services.tsx";
import { Topology } from "./pages/topology.tsx";
import { Empty, Failure, Skeleton } from "./parts/basics.tsx";
import { span } from "./format.ts";
import { store } from "./store.ts";

const PAGES = [
  ["", "Topology"],
  ["services", "Services"],
  ["stacks", "Stacks"],
  ["nodes", "Nodes"],
  ["networks", "Networks"],
  ["files", "Secrets"],
  ["logs", "Logs"],
  ["events", "Events"],
  ["audit", "Audit"],
] as const;

/** Which entry of the menu a page belongs to. */
const BELONGS: Readonly<Record<string, string>> = {
  service: "services",
  node: "nodes",
  terminal: "services",
};

function Page({ route }: { route: readonly string[] }) {
  const [page = "", a = "", b = ""] = route;
  switch (page) {
    case "":
      return <Topology />;
    case "services":
      return <Services />;
    case "service":
      return <Service key={a} id={a} />;
    case "nodes":
      return <Nodes />;
    case "node":
      return <Node key={a} id={a} />;
    case "networks":
      return <Networks />;
    case "files":
      return <Files />;
    case "stacks":
      return <Stacks />;
    case "logs":
      return <Logs kind={a === "task" ? "task" : "service"} id={b} />;
    case "terminal":
      return <LazyTerminal key={a} id={a} />;
    case "events":
      return <Events />;
    case "audit":
      return <Audit />;
    default:
      return (
        <Empty title="There is no such page">
          <a href="#/">To the topology</a>
        </Empty>
      );
  }
}

/** The terminal's code is most of all there is, and few need it. */
function LazyTerminal({ id }: { id: string }) {
  const [Loaded, setLoaded] = useState<ComponentType<{ id: string }>>();
  const [error, setError] = useState("");
  useEffect(() => {
    import("./pages/terminal.tsx").then(
      (module) => setLoaded(() => module.default),
      (failure) => setError(String(failure)),
    );
  }, []);
  if (error) return <Failure message={error} />;
  return Loaded ? <Loaded id={id} /> : <Skeleton />;
}

function Banner() {
  const { link } = useStore();
  const now = useNow();
  if (link.kind === "lost") {
    return (
      <p class="banner bad" role="alert">
        The connection to the agent is lost for{" "}
        {span(now - link.since)}; trying again. What you see is as it was then.
      </p>
    );
  }
  if (link.kind === "refused") return <p class="banner bad" role="alert">{link.message}</p>;
  return null;
}

function Shell() {
  const { link, cluster } = useStore();
  const route = useRoute();
  const current = BELONGS[route[0] ?? ""] ?? route[0] ?? "";
  const session = currentSession();
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, []);
  useEffect(() => {
    const name = PAGES.find(([path]) => path === current)?.[1] ?? "fleet";
    document.title = `${name} – fleet`;
  }, [current]);
  if (link.kind === "expired") return <LoggedOut message="Your session has ended." />;
  const leader = cluster && store.tables.node.get(cluster.leader);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={focusMain}>To the content</a>
      <header class="top">
        <a class="brand" href="#/">fleet</a>
        <p class="tolerance" data-tolerance>
          {cluster
            ? (
              <>
                <span class={`dot tone-${cluster.quorum ? "ok" : "bad"}`} />
                {leader ? `Leader ${leader.name}. ` : "No leader. "}
                {cluster.tolerance}
              </>
            )
            : "…"}
        </p>
        <span class="live" role="status" data-link={link.kind}>
          {link.kind === "live" ? "live" : link.kind === "loading" ? "loading" : "offline"}
        </span>
        <ThemeButton />
        <button type="button" title={session?.user} onClick={() => void logOut()}>
          Log out <span class="hidden-text">({session?.user})</span>
        </button>
      </header>
      <nav aria-label="Pages">
        {PAGES.map(([path, name]) => (
          <a key={path} href={`#/${path}`} aria-current={current === path ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        <Banner />
        {store.cluster === undefined && link.kind !== "refused"
          ? <Skeleton rows={8} />
          : store.cluster === undefined
          ? (
            <Empty title="There is nothing to show yet">
              {link.kind === "refused" ? link.message : ""}
            </Empty>
          )
          : (
            <Guarded key={route.join("/")}>
              <Page route={route} />
            </Guarded>
          )}
      </main>
    </div>
  );
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

async function logOut(): Promise<void> {
  store.stop();
  await closeSession().catch(() => {});
  location.assign("/");
  location.reload();
}

function ThemeButton() {
  const [theme, setTheme] = useState(() => localStorage.getItem("theme") ?? "");
  useEffect(() => {
    if (theme) document.documentElement.dataset["theme"] = theme;
    else delete document.documentElement.dataset["theme"];
    localStorage.setItem("theme", theme);
  }, [theme]);
  const next = theme === "" ? "dark" : theme === "dark" ? "light" : "";
  return (
    <button type="button" class="theme" onClick={() => setTheme(next)}>
      {theme === "" ? "Auto" : theme === "dark" ? "Dark" : "Light"}
      <span class="hidden-text">colours; change to {next || "those of the system"}</span>
    </button>
  );
}

/** A page that fails takes nothing else with it. */
class Guarded extends Component<{ children: ComponentChildren }, { error?: Error }> {
  override state: { error?: Error } = {};
  static override getDerivedStateFromError(error: Error) {
    return { error };
  }
  render() {
    const { error } = this.state;
    if (error) return <Failure message={`This page failed: ${error.message}`} />;
    return this.props.children;
  }
}

function LoggedOut({ message }: { message: string }) {
  return (
    <main class="login">
      <h1>fleet</h1>
      <p role="alert">{message}</p>
      <p>
        On a manager, run <code>fleet ui</code>{" "}
        and open the link that it prints. It works once, for five minutes.{" "}
        <code>fleet ui --read-only</code> makes a link for looking only.
      </p>
    </main>
  );
}

const root = document.getElementById("app")!;
try {
  const session = await openSession();
  render(session ? <Shell /> : <LoggedOut message="You are not logged in." />, root);
} catch (error) {
  render(<LoggedOut message={error instanceof Error ? error.message : String(error)} />, root);
}
