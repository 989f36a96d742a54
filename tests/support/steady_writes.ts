import type { FleetLab } from "./fleet_lab.ts";

/** Writes through several managers, one after the other on each, until it is stopped. */
export function writeWithoutPause(lab: FleetLab, hosts: readonly string[]) {
  const failures: string[] = [];
  let count = 0;
  let stopped = false;
  const writers = hosts.map(async (host) => {
    const { fleetSocket: path } = lab.host(host).layout;
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    try {
      for (let i = 0; !stopped; i++) {
        const response = await fetch("http://fleet/configs/create", {
          method: "POST",
          client,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ Name: `written-${host}-${i}`, Data: "eA==" }),
        } as RequestInit);
        const text = await response.text();
        if (response.status === 201) count++;
        else failures.push(`${host}: ${response.status} ${text}`);
      }
    } catch (error) {
      failures.push(`${host}: ${error}`);
    } finally {
      client.close();
    }
  });
  return {
    async stop() {
      stopped = true;
      await Promise.all(writers);
      return { count, failures };
    },
  };
}
