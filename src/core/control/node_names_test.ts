import { strictEqual, throws } from "node:assert/strict";
import type { Node } from "../../model/node.ts";
import type { ControlContext } from "./context.ts";
import { updateNode } from "./nodes.ts";

const node = (ID: string, Hostname: string, Name?: string) =>
  ({
    ID,
    Version: { Index: 1 },
    Spec: { Role: "worker", Availability: "active", Labels: {}, ...(Name ? { Name } : {}) },
    Description: { Hostname },
    Status: { State: "ready" },
  }) as unknown as Node;

function renamed(name: string): string | undefined {
  const nodes = [node("a", "h1"), node("b", "h2", "kitchen")];
  let stored: Node | undefined;
  const tx = {
    all: () => nodes,
    get: (_: string, id: string) => nodes.find(({ ID }) => ID === id),
    update: (_: string, next: Node) => void (stored = next),
  };
  const context = { tx, managers: [] } as unknown as ControlContext;
  updateNode(context, { id: "a", version: 1, spec: { ...nodes[0]!.Spec, Name: name } });
  return stored?.Spec.Name;
}

Deno.test("a node gets no name that another one has, nor another one's host name", () => {
  const taken = (name: string, sentence: RegExp) =>
    throws(() => renamed(name), (error: { kind?: string; message: string }) => {
      strictEqual(error.kind, "conflict");
      return sentence.test(error.message);
    });
  taken("kitchen", /^the name kitchen is taken by node b; choose another one$/);
  taken("h2", /^the name h2 is taken by node b \(kitchen, whose host name it is\)/);
  strictEqual(renamed("garden"), "garden");
  strictEqual(renamed("h1"), "h1", "its own host name");
});
