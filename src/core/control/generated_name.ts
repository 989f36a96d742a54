const ADJECTIVES =
  ("able agile amber bold brave bright brisk calm clear clever coastal cosmic crisp deep eager early even fair fast fleet fond free fresh " +
    "gentle glad golden grand green happy hardy honest humble jolly keen kind lively loyal lucky mellow merry mighty mild modest neat nimble noble " +
    "open patient plain polite proud quick quiet rapid ready rustic serene sharp silent silver simple sleek smart snug solid steady still sunny swift " +
    "tidy tranquil trusty upbeat vivid warm wise witty young zesty").split(" ");
const NOUNS =
  ("anchor atoll barge bay beacon boat bow breeze brig buoy cabin canal canoe cape cargo channel chart clipper coast compass coral cove crane " +
    "current cutter deck delta dinghy dock dory eddy estuary ferry fjord foam frigate galley gangway gulf gull harbor haven helm hull island jetty keel " +
    "kayak ketch lagoon lantern levee lighthouse lock marina mast moor oar ocean outpost pier pilot port prow quay raft reef rigging river rudder sail " +
    "schooner sextant ship shoal shore sloop sound spar spinnaker stern strait surf tide tiller trawler tug vessel voyage wake wave wharf winch yacht yawl")
    .split(" ");

/** Tries before a number is appended. */
const MAX_TRIES = 10;

/** A readable name such as `brisk_harbor` that `taken` does not know. */
export function generateName(
  randomBytes: (n: number) => Uint8Array,
  taken: (name: string) => boolean,
): string {
  let name = "";
  for (let i = 0; i < MAX_TRIES; i++) {
    const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
    name = `${ADJECTIVES[(a * 256 + b) % ADJECTIVES.length]}_${
      NOUNS[(c * 256 + d) % NOUNS.length]
    }`;
    if (!taken(name)) return name;
  }
  for (let n = 1;; n++) if (!taken(`${name}${n}`)) return `${name}${n}`;
}
