import { ExecutorContract } from "../../../tests/contract/executor_contract.ts";
import { FakeEngine } from "../../../tests/support/fake_engine.ts";

// The same rules run on a real engine in tests/lab/docker_contract_test.ts.
const contract = new ExecutorContract({ api: new FakeEngine(), filesFolder: "/nonexistent" });
for (const [name, rule] of Object.entries(contract.rules())) {
  Deno.test(`fake engine: ${name}`, rule);
}
