import { createHash } from "node:crypto";
import { FleetError } from "../../base/errors.ts";
import { must } from "./process.ts";
import { tar } from "./tar.ts";
import type { TarEntry } from "./tar.ts";

export interface ImageOptions {
  /** `name:tag` */
  readonly reference: string;
  /** The one layer. */
  readonly files: readonly TarEntry[];
  readonly command: readonly string[];
  readonly env?: readonly string[];
  readonly healthcheck?: readonly string[];
}

const encoder = new TextEncoder();

/**
 * An image as `docker load` reads it (`docker save` format). The same options give the same bytes, so
 * that all hosts have it under one id; `docker import` would stamp each with its own.
 */
export function imageArchive(options: ImageOptions): Uint8Array {
  const layer = tar(options.files);
  const config = encoder.encode(JSON.stringify({
    architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: {
      Env: options.env ?? ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: options.command,
      ...(options.healthcheck ? { Healthcheck: { Test: ["CMD", ...options.healthcheck] } } : {}),
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "fleet lab" }],
  }));
  const manifest = [{
    Config: `${sha256(config)}.json`,
    RepoTags: [options.reference],
    Layers: ["layer.tar"],
  }];
  return tar([
    { path: manifest[0]!.Config, mode: 0o644, body: config },
    { path: "layer.tar", mode: 0o644, body: layer },
    { path: "manifest.json", mode: 0o644, body: encoder.encode(JSON.stringify(manifest)) },
  ]);
}

/** `busybox:latest` from the machine's static busybox. @throws FleetError unavailable */
export async function busyboxImage(): Promise<Uint8Array> {
  const path = (await must(["/bin/sh", "-c", "command -v busybox"])).trim();
  const binary = await Deno.readFile(path);
  if (isDynamic(binary)) {
    throw new FleetError(
      "unavailable",
      `${path} needs shared libraries: install the Debian package busybox-static`,
    );
  }
  const applets = (await must([path, "--list"])).split("\n")
    .filter((applet) => applet !== "" && applet !== "busybox").sort();
  return imageArchive({
    reference: "busybox:latest",
    command: ["sh"],
    files: [
      ...["bin", "etc", "root", "usr", "usr/bin", "var"].map((folder) => ({
        path: folder,
        mode: 0o755,
        folder: true as const,
      })),
      { path: "tmp", mode: 0o1777, folder: true },
      { path: "bin/busybox", mode: 0o755, body: binary },
      ...applets.map((applet) => ({ path: `bin/${applet}`, target: "busybox" })),
      { path: "usr/bin/env", target: "../../bin/busybox" },
      {
        path: "etc/passwd",
        mode: 0o644,
        body: encoder.encode(
          "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        ),
      },
      { path: "etc/group", mode: 0o644, body: encoder.encode("root:x:0:\nnogroup:x:65534:\n") },
    ],
  });
}

/** Whether a 64-bit ELF file asks for an interpreter (a PT_INTERP program header). */
function isDynamic(elf: Uint8Array): boolean {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (elf.length < 64 || view.getUint32(0) !== 0x7f454c46 || elf[4] !== 2) return false;
  const [start, size, count] = [
    Number(view.getBigUint64(32, true)),
    view.getUint16(54, true),
    view.getUint16(56, true),
  ];
  for (let i = 0; i < count; i++) {
    if (view.getUint32(start + i * size, true) === 3) return true;
  }
  return false;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
