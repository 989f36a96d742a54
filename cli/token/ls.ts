import type { IssuedToken } from "../../src/model/cluster.ts";
import { humanDuration } from "../../src/base/duration.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import { ago, labelsText, shortId } from "../render/text.ts";
import type { Verb } from "../verb.ts";

const SHAPE: ListShape = {
  headers: {
    ID: "ID",
    Role: "ROLE",
    Uses: "USES LEFT",
    Expires: "EXPIRES",
    Labels: "NODE LABELS",
    CreatedAt: "CREATED",
  },
  columns: ["ID", "Role", "Uses", "Expires", "Labels", "CreatedAt"],
};

export const verb: Verb<ListFlags> = {
  define(command) {
    addListFlags(command).examples("fleet token ls", "fleet token ls -q");
  },
  async run({ client, env }, _args, flags) {
    const tokens = await client.get<Omit<IssuedToken, "Secret">[]>("/fleet/tokens");
    const now = env.now();
    const rows = tokens.map((token) => ({
      ID: flags.quiet ? token.ID : shortId(token.ID),
      Role: token.Role,
      Uses: token.UsesLeft === undefined ? "any" : String(token.UsesLeft),
      Expires: expiry(token.ExpiresAt, now),
      Labels: labelsText(token.NodeLabels),
      CreatedAt: ago(token.CreatedAt, now),
    }));
    env.stdout.write(renderList(SHAPE, rows, flags));
  },
};

function expiry(time: string | undefined, now: number): string {
  if (time === undefined) return "never";
  const left = Date.parse(time) - now;
  return left <= 0 ? "expired" : `in ${humanDuration(left)}`;
}
