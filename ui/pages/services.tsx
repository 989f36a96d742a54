import type { ServiceRow, TaskRow } from "../../src/api/ui/rows.ts";
import { useStore } from "../hooks.ts";
import { Bar, Dot, Empty, Table } from "../parts/basics.tsx";
import { ago, hueOf } from "../format.ts";

/** Whether a port of a row is answered on the nodes of the tasks only, and not by the routing mesh. */
export function isHostPort(port: string): boolean {
  return port.endsWith("on its node");
}

/** Tasks that run, and that shall. */
export function counts(service: ServiceRow, tasks: readonly TaskRow[]) {
  const running = tasks.filter((task) => task.state === "running" && task.desired === "running");
  const wanted = service.mode === "replicated"
    ? service.replicas
    : tasks.filter((task) => task.desired === "running" || task.desired === "complete").length;
  return { running: running.length, wanted };
}

export function Services() {
  const store = useStore();
  const services = store.list("service");
  return (
    <>
      <div class="page-head">
        <h1>Services</h1>
      </div>
      {services.length === 0
        ? (
          <Empty title="No services yet">
            Create one: fleet run nginx, or docker service create.
          </Empty>
        )
        : (
          <Table
            caption="Services"
            head={["Service", "Mode", "Running", "Image", "Ports", "Stack", "Update", "Changed"]}
          >
            {services.map((service) => {
              const { running, wanted } = counts(
                service,
                store.tasksByService.get(service.id) ?? [],
              );
              return (
                <tr key={service.id}>
                  <td>
                    <a href={`#/service/${service.id}`}>
                      <span class="swatch" style={{ "--hue": String(hueOf(service.name)) }} />
                      {service.name}
                    </a>
                  </td>
                  <td>{service.mode}</td>
                  <td>
                    <Bar
                      value={running}
                      of={wanted}
                      label={`${running} of ${wanted}`}
                      tone={running === wanted ? "ok" : "busy"}
                    />
                  </td>
                  <td class="wide">{service.image}</td>
                  <td>{service.ports.join(", ")}</td>
                  <td>{service.stack}</td>
                  <td>{service.update && <UpdateWord state={service.update} />}</td>
                  <td class="number">{ago(service.updated)}</td>
                </tr>
              );
            })}
          </Table>
        )}
    </>
  );
}

export function UpdateWord({ state }: { state: string }) {
  const tone = state.endsWith("paused") ? "bad" : state.endsWith("completed") ? "idle" : "busy";
  return <Dot tone={tone} label={state.replaceAll("_", " ")} />;
}
