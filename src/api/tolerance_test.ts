import { strictEqual } from "node:assert/strict";
import { toleranceSentence } from "./tolerance.ts";

Deno.test("how many managers may fail, and advice where one more or less would be better", () => {
  const add = "; add two managers to survive one failure";
  const even = (n: number) => `; an even number is no safer than ${n}, add or remove one`;
  for (
    const [total, reachable, sentence] of [
      [1, 1, `1 manager, 1 reachable: does not survive the loss of one${add}`],
      [2, 2, `2 managers, 2 reachable: does not survive the loss of one${even(1)}`],
      [3, 3, "3 managers, 3 reachable: survives the loss of 1"],
      [3, 2, "3 managers, 2 reachable: does not survive the loss of one"],
      [4, 4, `4 managers, 4 reachable: survives the loss of 1${even(3)}`],
      [5, 5, "5 managers, 5 reachable: survives the loss of 2"],
      [
        5,
        2,
        "5 managers, 2 reachable: quorum is lost, 3 must be reachable before anything can change",
      ],
    ] as const
  ) strictEqual(toleranceSentence(total, reachable), sentence);
});
