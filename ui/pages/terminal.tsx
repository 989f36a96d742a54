import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm } from "@xterm/xterm";
import { useEffect, useRef, useState } from "preact/hooks";
import { currentSession } from "../api.ts";
import { useStore } from "../hooks.ts";
import { Empty } from "../parts/basics.tsx";
import { nodeLabel, taskLabel } from "../parts/task_table.tsx";

const encoder = new TextEncoder();

/** The terminal makes style sheets at run time; the page's policy takes only those with its nonce. */
function allowStyles(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="nonce"]')?.content ?? "";
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (name === "style") element.setAttribute("nonce", nonce);
    return element;
  }) as typeof document.createElement;
}
allowStyles();

export default function Terminal({ id }: { id: string }) {
  const store = useStore();
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState("connecting…");
  const [round, setRound] = useState(0);
  const task = store.tables.task.get(id);
  const known = task !== undefined;
  useEffect(() => {
    const element = box.current;
    const session = currentSession();
    if (!element || !session || !known) return;
    const terminal = new Xterm({
      cursorBlink: true,
      fontSize: 14,
      screenReaderMode: true,
      theme: { background: "#101418", foreground: "#e6e9ec" },
      // What a program writes must not become a link that is one click away.
      linkHandler: { activate: () => {} },
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(element);
    fit.fit();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(
      `${scheme}://${location.host}/live/terminal/${id}?command=sh`,
      `fleet.${session.csrf}`,
    );
    socket.binaryType = "arraybuffer";
    const size = () => {
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify([terminal.cols, terminal.rows]));
      }
    };
    let said = "";
    socket.onopen = () => {
      setState("connected");
      size();
      terminal.focus();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") said = data;
      else terminal.write(new Uint8Array(data as ArrayBuffer));
    };
    socket.onclose = () => setState(said || "the connection was lost");
    terminal.onData((text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
    });
    terminal.onResize(size);
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(element);
    return () => {
      watch.disconnect();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
    };
  }, [id, round, known]);
  if (!task) {
    return (
      <Empty title="No such task">
        It may be over. <a href="#/services">All services</a>
      </Empty>
    );
  }
  const over = state !== "connected" && state !== "connecting…";
  return (
    <>
      <div class="page-head">
        <h1>Terminal in {taskLabel(task)} on {nodeLabel(task.node)}</h1>
        <div class="buttons">
          <span role="status" class="soft" data-terminal={over ? "over" : state}>{state}</span>
          {over && <button type="button" onClick={() => setRound(round + 1)}>Connect again</button>}
        </div>
      </div>
      <div class="terminal" ref={box} />
    </>
  );
}
