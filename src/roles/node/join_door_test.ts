import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { JoinDoor } from "./join_door.ts";

function door() {
  const lines: string[] = [];
  const logger: Logger = {
    log: (level, message, fields) =>
      void lines.push(`${level} ${message} ${Object.values(fields ?? {}).join(" ")}`),
    with: () => logger,
  };
  const clock = new ManualClock();
  return { lines, clock, door: new JoinDoor(clock, logger) };
}

const refuse = () => Promise.reject(new FleetError("unauthorized", "a valid token is necessary"));
const admit = () => Promise.resolve({ nodeId: "n1", role: "worker" });

Deno.test("attempts to join are in the log with their source", async () => {
  const { door: here, lines } = door();
  await here.pass("10.0.0.9:40000", admit);
  await assert.rejects(here.pass("[2001:db8::1]:40000", refuse), /valid token/);
  assert.deepEqual(lines, [
    "info a node joined n1 worker 10.0.0.9",
    "warn a node was not let in 2001:db8::1 a valid token is necessary",
  ]);
});

Deno.test("who guesses tokens waits, is logged once, and keeps nobody else out", async () => {
  const { door: here, lines, clock } = door();
  for (let i = 0; i < 64; i++) await assert.rejects(here.pass("10.0.0.9:1", refuse), /valid token/);
  const asked: string[] = [];
  for (let i = 0; i < 100; i++) {
    await assert.rejects(
      here.pass(`10.0.0.9:${i}`, () => Promise.resolve(void asked.push("looked at"))),
      /too many attempts to join from 10\.0\.0\.9: try again in 10 s/,
    );
  }
  assert.deepEqual(asked, []);
  assert.equal(lines.length, 64 + 1);
  await here.pass("10.0.0.8:1", admit);
  await clock.advance(10_000);
  await here.pass("10.0.0.9:1", admit);
});

Deno.test("a cluster without a leader does not use up anybody's attempts", async () => {
  const { door: here } = door();
  const noLeader = () => Promise.reject(new FleetError("unavailable", "no leader"));
  for (let i = 0; i < 200; i++) {
    await assert.rejects(here.pass("10.0.0.9:1", noLeader), /no leader/);
  }
});
