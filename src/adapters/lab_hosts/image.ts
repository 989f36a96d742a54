import { capture, must } from "./process.ts";

/** A small image from the machine's static busybox, as a tar for `docker import`; the path of the file. */
export async function busyboxImage(folder: string): Promise<string> {
  const stage = `${folder}/image`;
  const busybox = (await must(["/bin/sh", "-c", "command -v busybox"])).trim();
  for (const path of ["bin", "etc", "tmp", "root"]) {
    await Deno.mkdir(`${stage}/${path}`, { recursive: true });
  }
  await Deno.copyFile(busybox, `${stage}/bin/busybox`);
  await Deno.chmod(`${stage}/bin/busybox`, 0o755);
  await Deno.chmod(`${stage}/tmp`, 0o1777);
  const applets = (await must([busybox, "--list"])).split("\n").filter(Boolean);
  for (const applet of applets) {
    if (applet !== "busybox") await Deno.symlink("busybox", `${stage}/bin/${applet}`);
  }
  await Deno.writeTextFile(
    `${stage}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
  );
  await Deno.writeTextFile(`${stage}/etc/group`, "root:x:0:\nnogroup:x:65534:\n");
  const tar = `${folder}/busybox.tar`;
  await must(["tar", "-C", stage, "--owner=0", "--group=0", "-cf", tar, "."]);
  await capture(["rm", "-rf", stage]);
  return tar;
}
