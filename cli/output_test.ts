import { FakeAgent } from "./testing/fake_agent.ts";
import { runFleet } from "./testing/fake_environment.ts";
import { answerFixture } from "./testing/fixture.ts";
import { assertGolden } from "./testing/golden.ts";

/** Command lines whose whole output is in the golden file. Tables are Docker's, byte for byte. */
const CASES: readonly (readonly string[])[] = [
  ["node", "ls"],
  ["node", "ls", "-q"],
  ["node", "ls", "--format", "{{.ID}} {{.Self}} {{.Hostname}} {{.TLSStatus}} {{.ManagerStatus}}"],
  ["node", "ls", "--format", "json"],
  ["node", "ls", "--format", "table {{.Hostname}}\t{{.Status}}"],
  ["node", "inspect", "h1"],
  ["node", "inspect", "--pretty", "h1", "h10"],
  ["node", "inspect", "--pretty", "h2"],
  ["node", "ls", "--format", "table {{.Hostname}}\t{{.TLSStatus}}\t{{.CertDaysLeft}}"],
  [
    "node",
    "inspect",
    "--format",
    "{{.Status.State}} {{range $k, $v := .Spec.Labels}}{{$k}}={{$v}} {{end}}{{json .Spec}}",
    "h10",
    "nope",
  ],
  ["node", "ps"],
  ["node", "ps", "h10", "--no-trunc"],
  ["service", "ls"],
  ["service", "ls", "-q"],
  ["service", "ls", "--format", "json"],
  ["service", "ls", "--format", "table {{.Name}}\t{{.Ports}}\t{{upper .Mode}}"],
  ["service", "ps", "web2"],
  ["service", "ps", "--no-trunc", "--no-resolve", "web2"],
  ["service", "ps", "-q", "web2"],
  ["service", "ps", "--format", "{{.Name}}: {{.Error}}", "web2", "nope"],
  ["service", "inspect", "--pretty", "web2"],
  ["service", "inspect", "--pretty", "agent"],
  ["service", "inspect", "--pretty", "batch"],
  [
    "service",
    "inspect",
    "--format",
    '{{join .Spec.TaskTemplate.ContainerSpec.Env ","}} {{len .Spec.TaskTemplate.ContainerSpec.Mounts}} {{with .UpdateStatus}}{{.State}}{{end}} {{if eq .Spec.Name "web2"}}yes{{else}}no{{end}}',
    "web2",
  ],
  ["service", "inspect", "nope"],
  ["list"],
  ["list", "--all", "--env", "web*"],
  ["list", "--local"],
  ["list", "-q"],
  ["list", "--format", "{{.Name}} {{.Address}} {{.Health}} {{.Ports}}"],
  ["stop", "web*"],
  ["stop", "--detach", "web2"],
  ["stop", "agent"],
  ["stop", "nope"],
  ["run", "-r", "a", "--name", "b", "nginx"],
  ["diagnose", "--lines", "0", "web2"],
  ["diagnose", "nope"],
  ["exec", "nope", "-it", "--", "sh"],
  ["ssh", "nope"],
  ["machine", "ls"],
  ["machine", "ls", "-q"],
  ["machine", "env", "h1"],
  ["node", "rename", "h1", "kitchen"],
  ["node", "rename", "h1", "no good"],
  ["secret", "ls"],
  ["secret", "ls", "--format", '{{.Name}} {{.Labels}} {{.Label "a"}}'],
  ["secret", "inspect", "--pretty", "tls10"],
  ["config", "ls"],
  ["config", "ls", "-q"],
  ["config", "inspect", "--pretty", "site"],
  ["network", "ls"],
  ["network", "ls", "--no-trunc", "--format", "table {{.ID}}\t{{.Name}}\t{{.IPv6}}\t{{.Labels}}"],
  ["swarm", "join-token", "worker"],
  ["swarm", "join-token", "-q", "manager"],
  ["swarm", "init"],
  ["swarm", "init", "--autolock"],
  ["swarm", "unlock-key"],
  ["swarm", "ca"],
  ["swarm", "leave"],
  ["swarm", "update", "--autolock"],
  ["node", "rm", "h10", "nope"],
  ["node", "promote", "h1", "h10"],
  ["node", "demote", "h1"],
  ["service", "rm", "web2", "nope"],
  ["service", "scale", "--detach", "web2=3"],
  ["service", "rollback", "--detach", "web2"],
  ["node", "update", "--label-add", "x=y", "h1"],
  ["node", "update", "--label-rm", "x", "h1"],
  ["swarm", "join", "--token", "x", "10.0.0.1:2377"],
  ["info"],
  ["info", "--format", "{{.Swarm.LocalNodeState}}"],
  ["version"],
  ["version", "--format", "json"],
  ["task", "inspect", "--format", "{{.Status.State}}", "t1"],
  ["network", "inspect", "--format", "{{.Name}} {{.Driver}} {{.Nothing}}", "back"],
  ["network", "create", "--subnet", "10.9.0.0/24", "--gateway", "10.9.0.1", "front"],
  ["network", "rm", "back"],
  ["secret", "rm", "tls2"],
  ["service", "ls", "--format", "{{.Nonsense}}"],
  ["service", "ls", "--format", "{{.Name"],
  ["service", "ls", "--filter", "name"],
];

Deno.test("every verb prints what it printed before", async () => {
  await using agent = new FakeAgent(answerFixture);
  let text = "";
  for (const args of CASES) {
    const { code, out, err } = await runFleet(args, { host: agent.host });
    text += `$ fleet ${args.join(" ")}\n${out}`;
    if (err !== "") text += `[stderr] ${err}`;
    text += code === 0 ? "\n" : `[exit ${code}]\n\n`;
  }
  assertGolden("output.txt", text.replaceAll(agent.host, "unix:///run/fleet/fleet.sock"));
});
