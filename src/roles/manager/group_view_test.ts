import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { GroupAsker } from "./group_view.ts";
import type { GroupView } from "./group_view.ts";
import type { Membership } from "./membership.ts";

const OWN: GroupView = { index: 5, leading: false, members: [], silentNodes: [] };
const LEADERS: GroupView = { index: 6, leading: true, members: [], silentNodes: ["n1"] };

interface Asked {
  readonly leading?: boolean;
  readonly leaderless?: boolean;
}

function asker(answers: readonly (() => Promise<unknown>)[], { leading, leaderless }: Asked = {}) {
  const clock = new ManualClock();
  let asked = 0;
  const group = new GroupAsker({
    clock,
    membership: { leaderless: leaderless ?? false } as Membership,
    own: () => ({ ...OWN, leading: leading ?? false }),
    askLeader: () => answers[Math.min(asked++, answers.length - 1)]!(),
  });
  return { clock, group, asked: () => asked };
}

const answer = (view: GroupView) => () => Promise.resolve(view);
const refuse = (kind: "unavailable" | "unimplemented") => () =>
  Promise.reject(new FleetError(kind, "no"));

Deno.test("the leader is asked by those who do not lead, once for all who ask meanwhile", async () => {
  const follower = asker([answer(LEADERS)]);
  const views = await Promise.all([follower.group.view(), follower.group.view()]);
  assert.deepEqual([views, follower.asked()], [[LEADERS, LEADERS], 1]);
  await follower.group.view();
  assert.equal(follower.asked(), 2);
  const leader = asker([answer(LEADERS)], { leading: true });
  assert.deepEqual((await leader.group.view()).index, OWN.index);
  assert.equal(leader.asked(), 0);
});

Deno.test("a leader of an older version, or none for long, leaves the own view at once", async () => {
  const older = asker([refuse("unimplemented")]);
  assert.deepEqual([await older.group.view(), older.asked()], [OWN, 1]);
  const none = asker([answer(LEADERS)], { leaderless: true });
  assert.deepEqual([await none.group.view(), none.asked()], [OWN, 0]);
});

Deno.test("while the lead changes it is asked again, for two seconds at most", async () => {
  const changing = asker([refuse("unavailable"), answer(OWN), answer(LEADERS)]);
  const view = changing.group.view();
  await changing.clock.advance(500);
  assert.deepEqual([await view, changing.asked()], [LEADERS, 3]);
  const never = asker([refuse("unavailable")]);
  const own = never.group.view();
  await never.clock.advance(2_100);
  assert.deepEqual(await own, OWN);
});
