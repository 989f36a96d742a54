import { must } from "../../../src/base/assert.ts";
import { FleetError } from "../../../src/base/errors.ts";
import { TestCluster } from "../../../src/core/raft/test_cluster.ts";
import type { ConfChange, Entry, Message } from "../../../src/core/raft/types.ts";
import { formatConf, formatEntry, formatMessage, formatReady, formatStatus } from "./format.ts";

interface Arguments {
  /** Words without `=`. */
  readonly words: readonly string[];
  readonly named: ReadonlyMap<string, string>;
}

type Command = (args: Arguments) => string[];

/**
 * Runs the commands of one scenario on a cluster; each returns the lines to show. The commands are
 * described in README.md.
 */
export class Interpreter {
  #cluster = new TestCluster([]);
  #founders: readonly string[] = [];

  /** An expected failure is output, so that scenarios can show refusals. */
  run(line: string): string[] {
    const [name = "", ...rest] = line.split(/\s+/);
    const command = this.#commands[name];
    if (!command) throw new Error(`unknown command "${name}"`);
    const named = new Map<string, string>();
    const words: string[] = [];
    for (const word of rest) {
      const at = word.indexOf("=");
      if (at > 0) named.set(word.slice(0, at), word.slice(at + 1));
      else words.push(word);
    }
    try {
      return command({ words, named });
    } catch (error) {
      if (error instanceof FleetError) return [`${error.kind}: ${error.message}`];
      throw error;
    }
  }

  readonly #commands: Record<string, Command> = {
    nodes: ({ words, named }) => this.#nodes(Number(words[0]), named),
    add: ({ words }) => {
      for (const id of words) this.#cluster.add(id);
      return [];
    },
    "set-log": ({ words, named }) => this.#setLog(words, named),
    tick: ({ words }) => {
      for (let i = Number(words[1] ?? 1); i > 0; i--) {
        for (const id of this.#ids(words[0])) this.#cluster.node(id).tick();
      }
      return [];
    },
    run: ({ words }) => {
      this.#cluster.tick(Number(words[0] ?? 1));
      return [];
    },
    campaign: ({ words }) => this.#do(words, (id) => this.#cluster.node(id).campaign()),
    lost: ({ words }) => this.#do(words, (id) => this.#cluster.node(id).leaderLost()),
    elect: ({ words }) => this.#do(words, (id) => this.#cluster.elect(id)),
    ready: ({ words }) => this.#ready(words),
    messages: () => this.#cluster.queue.map(formatMessage),
    deliver: ({ named }) => this.#deliver(named),
    repeat: ({ named }) => {
      const copies = this.#take(named);
      this.#cluster.queue.unshift(...copies, ...copies);
      return [];
    },
    drop: ({ named }) => this.#take(named).map((m) => `lost ${formatMessage(m)}`),
    send: ({ words, named }) => this.#send(words, named),
    settle: () => {
      this.#cluster.settle();
      return [];
    },
    isolate: ({ words }) => {
      this.#cluster.isolate(...words);
      return [];
    },
    heal: () => {
      this.#cluster.heal();
      return [];
    },
    propose: ({ words: [id, text] }) => {
      this.#cluster.node(must(id, "id")).propose(new TextEncoder().encode(text ?? ""));
      return [];
    },
    conf: ({ words: [id, type, target] }) => {
      const change = { type, id: target } as ConfChange;
      this.#cluster.node(must(id, "id")).proposeConfChange(change);
      return [];
    },
    read: ({ words: [id, context] }) => {
      this.#cluster.node(must(id, "id")).readIndex(must(context, "context"));
      return [];
    },
    reads: ({ words }) =>
      this.#ids(words[0]).flatMap((id) =>
        this.#cluster.member(id).readStates.map((r) => `${id}: ${r.context} at ${r.index}`)
      ),
    transfer: ({ words: [id, to] }) => {
      this.#cluster.node(must(id, "id")).transferLeadership(must(to, "target"));
      return [];
    },
    crash: ({ words }) => this.#do(words, (id) => void (this.#cluster.member(id).down = true)),
    restart: ({ words }) => this.#do(words, (id) => this.#cluster.member(id).restart()),
    forget: ({ words }) => this.#do(words, (id) => this.#cluster.member(id).forget(this.#founders)),
    compact: ({ words: [id, keep] }) => {
      this.#cluster.member(must(id, "id")).compact(Number(keep ?? 0));
      return [];
    },
    status: ({ words }) =>
      this.#ids(words[0]).map((id) => formatStatus(this.#cluster.node(id).status())),
    vote: ({ words }) =>
      this.#ids(words[0]).map((id) => {
        const { term, vote } = this.#cluster.node(id).status();
        return `${id}: term=${term} vote=${vote || "-"}`;
      }),
    members: ({ words }) =>
      this.#ids(words[0]).map((id) => `${id}: ${formatConf(this.#cluster.member(id).conf)}`),
    progress: ({ words }) =>
      this.#cluster.node(must(words[0], "id")).status().peers.map((p) =>
        `${p.id}: ${p.state} match=${p.match} next=${p.next} inflight=${p.inflight}` +
        (p.learner ? " learner" : "")
      ),
    log: ({ words }) =>
      this.#ids(words[0]).map((id) => {
        const { storage } = this.#cluster.member(id);
        const entries = storage.entries(storage.firstIndex(), storage.lastIndex() + 1, 1e9);
        return `${id}: ${entries.map(formatEntry).join(" ")}`.trimEnd();
      }),
    applied: ({ words }) =>
      this.#ids(words[0]).map((id) => `${id}: ${this.#cluster.texts(id).join(" ")}`.trimEnd()),
  };

  #ids(word: string | undefined): string[] {
    if (word !== undefined && word !== "all") return [word];
    return [...this.#cluster.members].filter(([, m]) => !m.down).map(([id]) => id);
  }

  #do(ids: readonly string[], action: (id: string) => void): string[] {
    ids.forEach(action);
    return [];
  }

  #nodes(count: number, named: ReadonlyMap<string, string>): string[] {
    const number = (key: string, otherwise: number) => Number(named.get(key) ?? otherwise);
    const ids = Array.from({ length: count }, (_, i) => String(i + 1));
    this.#founders = ids;
    this.#cluster = new TestCluster(ids, {
      electionTicks: number("election", 10),
      heartbeatTicks: number("heartbeat", 1),
      maxInflightMessages: number("window", 256),
      maxMessageBytes: number("bytes", 256 * 1024),
      maxUncommittedBytes: number("uncommitted", 64 * 1024 * 1024),
    });
    return [];
  }

  /** `set-log 1 2 3 3 term=4 commit=3`: appends entries of these terms to member 1 and restarts it. */
  #setLog([id = "", ...terms]: readonly string[], named: ReadonlyMap<string, string>): string[] {
    const member = this.#cluster.member(id);
    const { storage } = member;
    const base = storage.lastIndex();
    const entries = terms.map((term, i): Entry => ({
      index: base + 1 + i,
      term: Number(term),
      type: "normal",
      data: new TextEncoder().encode(`${base + 1 + i}@${term}`),
    }));
    storage.append(entries);
    const last = entries.at(-1)?.term ?? 1;
    storage.setHardState({
      term: Number(named.get("term") ?? last),
      vote: named.get("vote") ?? "",
      commit: Number(named.get("commit") ?? base),
    });
    member.restart();
    while (member.node.hasReady()) this.#cluster.pump(id);
    return [];
  }

  #ready([word]: readonly string[]): string[] {
    return this.#ids(word).flatMap((id) =>
      this.#cluster.node(id).hasReady()
        ? formatReady(id, this.#cluster.pump(id))
        : [`${id}: nothing to do`]
    );
  }

  #matches(m: Message, named: ReadonlyMap<string, string>): boolean {
    return (!named.has("from") || named.get("from") === m.from) &&
      (!named.has("to") || named.get("to") === m.to) &&
      (!named.has("type") || named.get("type") === m.type);
  }

  #take(named: ReadonlyMap<string, string>): Message[] {
    const taken = this.#cluster.queue.filter((m) => this.#matches(m, named));
    this.#cluster.queue = this.#cluster.queue.filter((m) => !this.#matches(m, named));
    return taken;
  }

  #deliver(named: ReadonlyMap<string, string>): string[] {
    return this.#take(named).map((m) => {
      this.#cluster.deliver(m);
      return formatMessage(m);
    });
  }

  /** `send vote from=2 to=1 term=5 last=4/3`: hands over a made-up message. */
  #send([type = ""]: readonly string[], named: ReadonlyMap<string, string>): string[] {
    const pair = (key: string) => (named.get(key) ?? "0/0").split("/").map(Number);
    const number = (key: string) => Number(named.get(key) ?? 0);
    const [lastIndex = 0, lastTerm = 0] = pair("last");
    const [prevIndex = 0, prevTerm = 0] = pair("prev");
    const to = must(named.get("to"), "to");
    const terms = (named.get("entries") ?? "").split(",").filter((term) => term !== "");
    const message = {
      type,
      from: must(named.get("from"), "from"),
      to,
      term: number("term"),
      lastIndex,
      lastTerm,
      prevIndex,
      prevTerm,
      commit: number("commit"),
      expect: number("expect"),
      round: number("round"),
      known: [],
      force: named.get("force") === "yes",
      reject: named.get("reject") === "yes",
      entries: terms.map((term, i): Entry => ({
        index: prevIndex + 1 + i,
        term: Number(term),
        type: "normal",
        data: new TextEncoder().encode(`${prevIndex + 1 + i}@${term}`),
      })),
    } as unknown as Message;
    this.#cluster.node(to).step(message);
    return [];
  }
}
