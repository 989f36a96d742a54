import assert from "node:assert/strict";
import { serveUnixSocket } from "./unix_server.ts";

Deno.test("nobody else can use the socket, not even while it is made", async () => {
  const folder = await Deno.makeTempDir({ prefix: "unix_server_" });
  const path = `${folder}/fleet.sock`;
  const mask = Deno.umask(0);
  const chmod = Deno.chmod;
  const modes: number[] = [];
  const look = () => void modes.push(Deno.statSync(path).mode! & 0o777);
  // The last moment at which the mode is as it was made with.
  Deno.chmod = (file, mode) => {
    look();
    return chmod(file, mode);
  };
  try {
    const server = await serveUnixSocket(path, () => Promise.resolve());
    look();
    server.close();
    assert.equal(modes.length, 2);
    for (const mode of modes) assert.equal(mode & 0o117, 0, mode.toString(8));
    assert.equal(Deno.umask(), 0, "the mask for other files was changed");
  } finally {
    Deno.chmod = chmod;
    Deno.umask(mask);
    await Deno.remove(folder, { recursive: true });
  }
});
