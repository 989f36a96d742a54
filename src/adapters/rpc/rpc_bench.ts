/**
 * What one mutual-TLS connection on loopback carries, both ends in this process:
 * `deno run -A src/adapters/rpc/rpc_bench.ts`
 */
import { Routes } from "./routes.ts";
import { fixtures, startLab } from "./test_support.ts";

const ROUNDS = 20_000;
const { worker } = await fixtures();
const routes = new Routes();
routes.route("echo", { roles: ["worker"] }, (body) => Promise.resolve(body));
routes.streamRoute("echoStream", { roles: ["worker"] }, async (stream) => {
  for await (const message of stream) await stream.send(message);
});
await using lab = await startLab(routes);
const client = await lab.dialer(worker).connect(lab.address);

async function measure(name: string, operations: number, run: () => Promise<void>): Promise<void> {
  await run(); // the first run warms the compiler
  const start = performance.now();
  await run();
  const perSecond = operations / ((performance.now() - start) / 1000);
  console.log(`${name.padEnd(48)} ${Math.round(perSecond).toLocaleString("en")}/s`);
}

const frame = new Uint8Array(300);
await measure("stream round trips, 300 bytes, one at a time", ROUNDS, async () => {
  const stream = client.open("echoStream");
  const reader = stream[Symbol.asyncIterator]();
  for (let i = 0; i < ROUNDS; i++) {
    await stream.send(frame);
    await reader.next();
  }
  await stream.end();
});

const body = { text: "x".repeat(280) };
for (const inFlight of [1, 16, 64]) {
  await measure(`unary calls, 300 bytes of JSON, ${inFlight} in flight`, ROUNDS, async () => {
    let left = ROUNDS;
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await client.call("echo", body);
    }));
  });
}
client.close();
