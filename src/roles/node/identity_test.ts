import assert from "node:assert/strict";
import { forgetIdentity, loadIdentity, saveCredentials, saveIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";
import type { StateFiles } from "./ports.ts";

/** Files in memory, on a machine whose power goes after `writes` more of them. */
function disk() {
  const texts = new Map<string, string>();
  const state = { writes: Infinity };
  const spend = () => {
    if (state.writes-- <= 0) throw new Error("no power");
  };
  const files: StateFiles = {
    read: (name) => texts.get(name),
    write: (name, text) => {
      spend();
      texts.set(name, text);
    },
    remove: (name) => {
      spend();
      texts.delete(name);
    },
  };
  return { files, texts, state };
}

const trust = {
  belongTogether: (cert: string, key: string) => cert.slice(5) === key.slice(4),
};
const credentials = (n: number) => ({ caPem: `ca-${n}`, certPem: `cert-${n}`, keyPem: `key-${n}` });
const identity: Identity = {
  nodeId: "n1",
  clusterId: "c1",
  role: "worker",
  listenAddr: "0.0.0.0:2377",
  advertiseAddr: "10.0.0.1:2377",
  dataPathAddr: "10.0.0.1",
  managers: [],
};

Deno.test("whenever the power goes, key and certificate belong together afterwards", () => {
  for (let writes = 0; writes <= 5; writes++) {
    const { files, texts, state } = disk();
    saveIdentity(files, identity);
    saveCredentials(files, credentials(1));
    state.writes = writes;
    try {
      saveCredentials(files, credentials(2));
    } catch {
      // The power went.
    }
    state.writes = Infinity;
    const { certPem, keyPem } = loadIdentity(files, trust)!.credentials;
    assert(trust.belongTogether(certPem, keyPem), `after ${writes}: ${certPem}, ${keyPem}`);
    assert.equal(texts.get("node.crt"), certPem);
    assert(!texts.has("node.crt.next"), `left behind after ${writes}`);
    if (writes === 0) assert.equal(certPem, "cert-1");
    if (writes === 5) assert.equal(certPem, "cert-2");
  }
});

Deno.test("another trust root alone leaves key and certificate untouched", () => {
  const { files, state } = disk();
  saveIdentity(files, identity);
  saveCredentials(files, credentials(1));
  // One write and one removal.
  state.writes = 2;
  saveCredentials(files, { ...credentials(1), caPem: "ca-2" });
  assert.equal(loadIdentity(files, trust)!.credentials.caPem, "ca-2");
});

Deno.test("nothing is left of an identity that is forgotten", () => {
  const { files, texts } = disk();
  saveIdentity(files, identity);
  saveCredentials(files, credentials(1));
  forgetIdentity(files);
  assert.equal(texts.size, 0);
  assert.equal(loadIdentity(files, trust), undefined);
});
