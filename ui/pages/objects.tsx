import { useState } from "preact/hooks";
import { send } from "../api.ts";
import type { FileRow, ServiceRow } from "../../src/api/ui/rows.ts";
import { ago } from "../format.ts";
import { useStore } from "../hooks.ts";
import { Bar, Empty, Failure, Labels, Table } from "../parts/basics.tsx";
import { nodeLabel } from "../parts/task_table.tsx";
import { counts, isHostPort } from "./services.tsx";

/** Addresses that a subnet has for tasks and nodes; 0 when it is not known. */
function capacity(subnet: string): number {
  const bits = Number(/\/(\d+)$/.exec(subnet)?.[1] ?? 33);
  return bits > 30 ? 0 : 2 ** (32 - bits) - 3;
}

export function Networks() {
  const store = useStore();
  const networks = store.list("network");
  const used = new Map<string, number>();
  for (const task of store.tables.task.values()) {
    if (task.desired === "shutdown" || task.desired === "remove") continue;
    for (const { network } of task.addresses) used.set(network, (used.get(network) ?? 0) + 1);
  }
  return (
    <>
      <div class="page-head">
        <h1>Networks</h1>
      </div>
      {networks.length === 0
        ? <Empty title="No networks yet">Create one: fleet network create shop</Empty>
        : (
          <Table
            caption="Networks"
            head={["Network", "Driver", "Subnet", "Addresses used", "Services", "Nodes", "Kind"]}
          >
            {networks.map((network) => {
              const total = capacity(network.subnet);
              const count = (used.get(network.id) ?? 0) + network.nodes.length;
              return (
                <tr key={network.id}>
                  <td>{network.name}</td>
                  <td>{network.driver}</td>
                  <td>
                    <code>{network.subnet}</code>
                  </td>
                  <td>
                    {total > 0 && <Bar value={count} of={total} label={`${count} of ${total}`} />}
                  </td>
                  <td>
                    <ServiceLinks
                      services={store.list("service").filter((s) =>
                        network.ingress
                          ? s.ports.some((port) => !isHostPort(port))
                          : s.networks.includes(network.id)
                      )}
                    />
                  </td>
                  <td>{network.nodes.map(nodeLabel).join(", ")}</td>
                  <td>
                    {[
                      network.ingress ? "ingress" : "",
                      network.internal ? "internal" : "",
                      network.attachable ? "attachable" : "",
                    ].filter(Boolean).join(", ")}
                  </td>
                </tr>
              );
            })}
          </Table>
        )}
    </>
  );
}

function ServiceLinks({ services }: { services: readonly ServiceRow[] }) {
  return (
    <span class="chips">
      {services.map((service) => (
        <a class="chip" key={service.id} href={`#/service/${service.id}`}>{service.name}</a>
      ))}
    </span>
  );
}

/** Secrets and configs: by name and user, never by value. */
export function Files() {
  const store = useStore();
  const services = store.list("service");
  return (
    <>
      <div class="page-head">
        <h1>Secrets and configs</h1>
      </div>
      <FileTable
        title="Secrets"
        files={store.list("secret")}
        users={(id) => services.filter((service) => service.secrets.includes(id))}
        create="fleet secret create NAME FILE"
      />
      <FileTable
        title="Configs"
        files={store.list("config")}
        users={(id) => services.filter((service) => service.configs.includes(id))}
        create="fleet config create NAME FILE"
      />
    </>
  );
}

function FileTable(
  { title, files, users, create }: {
    title: string;
    files: readonly FileRow[];
    users: (id: string) => readonly ServiceRow[];
    create: string;
  },
) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {files.length === 0
        ? <Empty title={`No ${title.toLowerCase()} yet`}>Create one: {create}</Empty>
        : (
          <Table caption={title} head={["Name", "Used by", "Labels", "Created", "Changed"]}>
            {files.map((file) => (
              <tr key={file.id}>
                <td>{file.name}</td>
                <td>
                  <ServiceLinks services={users(file.id)} />
                </td>
                <td>
                  <Labels of={file.labels} />
                </td>
                <td class="number">{ago(file.created)}</td>
                <td class="number">{ago(file.updated)}</td>
              </tr>
            ))}
          </Table>
        )}
    </section>
  );
}

export function Stacks() {
  const store = useStore();
  const stacks = new Map<string, ServiceRow[]>();
  for (const service of store.list("service")) {
    if (service.stack === "") continue;
    const services = stacks.get(service.stack);
    if (services) services.push(service);
    else stacks.set(service.stack, [service]);
  }
  return (
    <>
      <div class="page-head">
        <h1>Stacks</h1>
      </div>
      {stacks.size === 0 && (
        <Empty title="No stacks yet">
          Deploy one: fleet stack deploy -c compose.yaml shop. What a file would make can be seen
          below.
        </Empty>
      )}
      {[...stacks].map(([name, services]) => (
        <section class="card" key={name}>
          <h2>{name}</h2>
          <Table caption={`Services of the stack ${name}`} head={["Service", "Image", "Running"]}>
            {services.map((service) => {
              const { running, wanted } = counts(
                service,
                store.tasksByService.get(service.id) ?? [],
              );
              return (
                <tr key={service.id}>
                  <td>
                    <a href={`#/service/${service.id}`}>{service.name}</a>
                  </td>
                  <td>
                    <code>{service.image}</code>
                  </td>
                  <td>
                    <Bar
                      value={running}
                      of={wanted}
                      label={`${running} of ${wanted}`}
                      tone={running === wanted ? "ok" : "busy"}
                    />
                  </td>
                </tr>
              );
            })}
          </Table>
        </section>
      ))}
      <StackDifference names={[...stacks.keys()]} />
    </>
  );
}

/** What a compose file would change; the file goes to the agent and is not kept. */
function StackDifference({ names }: { names: readonly string[] }) {
  const [name, setName] = useState(names[0] ?? "");
  const [lines, setLines] = useState<readonly string[]>();
  const [error, setError] = useState("");
  const compare = async (file: File | undefined) => {
    setLines(undefined);
    setError("");
    if (!file) return;
    try {
      const path = `/live/stacks/${encodeURIComponent(name)}/plan`;
      const plan = await send<{ lines: readonly string[] }>("POST", path, await file.text());
      setLines(plan.lines);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  };
  return (
    <section class="card">
      <h2>File and cluster</h2>
      <label class="field">
        Stack
        <input
          value={name}
          list="stack-names"
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <datalist id="stack-names">
        {names.map((each) => <option key={each} value={each} />)}
      </datalist>
      <label class="field">
        Compose file
        <input
          type="file"
          accept=".yaml,.yml"
          disabled={name === ""}
          onChange={(event) => void compare(event.currentTarget.files?.[0])}
        />
      </label>
      {error && <Failure message={error} />}
      {lines && (
        <pre
          class="plan"
          data-plan
        >{lines.length === 0 ? "Nothing would change." : lines.join("\n")}</pre>
      )}
    </section>
  );
}
