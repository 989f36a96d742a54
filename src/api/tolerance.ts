/** What the managers survive, as a sentence: `3 managers, 3 reachable: survives the loss of 1`. */
export function toleranceSentence(total: number, reachable: number): string {
  const quorum = Math.floor(total / 2) + 1;
  const noun = total === 1 ? "manager" : "managers";
  const head = `${total} ${noun}, ${reachable} reachable`;
  if (reachable < quorum) {
    return `${head}: quorum is lost, ${quorum} must be reachable before anything can change`;
  }
  const spare = reachable - quorum;
  const survives = spare === 0
    ? "does not survive the loss of one"
    : `survives the loss of ${spare}`;
  const advice = total === 1
    ? "; add two managers to survive one failure"
    : total % 2 === 0
    ? `; an even number is no safer than ${total - 1}, add or remove one`
    : "";
  return `${head}: ${survives}${advice}`;
}
