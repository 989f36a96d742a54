import assert from "node:assert/strict";
import type { ApiService } from "../api_types.ts";
import { prettyService } from "./pretty.ts";

Deno.test("a port says how its tasks see the clients, where that is not Swarm's way", () => {
  const Ports = [{ TargetPort: 80, PublishedPort: 8085 }, { TargetPort: 90, PublishedPort: 9090 }];
  const service = {
    ID: "s",
    Spec: { Name: "web", Labels: { "fleet.source.8085": "node-local" } },
    Endpoint: { Ports },
  } as unknown as ApiService;
  const text = prettyService(service, new Map(), 0);
  assert.ok(
    text.includes(" PublishedPort:\t8085\n  TargetPort:\t80\n  Source:\tnode-local\n"),
    text,
  );
  assert.equal(text.split("Source:").length, 2);
});
