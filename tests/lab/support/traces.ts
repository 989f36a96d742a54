import { labCgroup, labFolder, labId } from "../../../src/adapters/lab_hosts/layout.ts";
import { capture, must } from "../../../src/adapters/lab_hosts/process.ts";

/** Every trace of a lab on this machine, looked for by other means than the lab's own. */
export async function tracesOf(name: string): Promise<string[]> {
  const [id, folder] = [labId(name), labFolder(name)];
  const found: string[] = [];
  const keep = (what: string, text: string, marks: readonly string[]) => {
    for (const line of text.split("\n")) {
      if (marks.some((mark) => line.includes(mark))) found.push(`${what}: ${line}`);
    }
  };
  keep("namespace", await must(["ip", "netns", "list"]), [id]);
  keep("device", await must(["ip", "-o", "link"]), [id]);
  keep("mount", await Deno.readTextFile("/proc/mounts"), [folder, id]);
  // It ends badly when something vanishes under its hands, which another lab may be the reason of.
  const find = async (...args: string[]) => (await capture(["find", ...args])).stdout;
  keep("cgroup", await find("/sys/fs/cgroup", "-type", "d"), [labCgroup(id)]);
  keep("file", await find("/var/lib", "/run", "-xdev", "-path", `*${id}*`), [id]);
  for await (const { name: pid } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === Deno.pid) continue;
    const read = (file: string) => Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
    const text = `${await read("cmdline")} ${await read("environ")} ${await read("cgroup")}`;
    if (text.includes(folder) || text.includes(labCgroup(id))) {
      found.push(`process: ${pid} ${(await read("cmdline")).replaceAll("\0", " ").slice(0, 100)}`);
    }
  }
  if (await Deno.stat(folder).then(() => true, () => false)) found.push(`folder: ${folder}`);
  return found;
}
