import type { ApiNode } from "../api_types.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import { naturalCompare } from "../render/natural_sort.ts";
import { title } from "../render/text.ts";
import { hostname } from "../upgrade/nodes.ts";
import type { Verb } from "../verb.ts";
import { sshOf } from "./ssh.ts";

const SHAPE: ListShape = {
  headers: {
    ID: "ID",
    Name: "NAME",
    SSH: "SSH",
    Role: "ROLE",
    Status: "STATUS",
    Address: "ADDRESS",
    EngineVersion: "ENGINE VERSION",
  },
  columns: ["Name", "SSH", "Role", "Status", "Address", "EngineVersion"],
};

export const verb: Verb<ListFlags> = {
  define(command) {
    addListFlags(command)
      .addHelpText("after", "\nSSH is how fleet machine add reached it; other nodes have none.")
      .examples("fleet machine ls", "fleet machine ls --format '{{.Name}} {{.SSH}}'");
  },
  async run({ client, env }, _args, flags) {
    const query = { filters: filtersText(flags.filter) };
    const rows = (await client.get<ApiNode[]>("/nodes", { query })).map(rowOf)
      .sort((a, b) => naturalCompare(a.Name, b.Name));
    env.stdout.write(renderList(SHAPE, rows, flags));
  },
};

function rowOf(node: ApiNode) {
  return {
    ID: node.ID,
    Name: hostname(node),
    SSH: sshOf(node) ?? "",
    Role: node.ManagerStatus?.Leader ? "leader" : node.Spec.Role ?? "worker",
    Status: title(node.Status.State),
    Address: node.Status.Addr ?? "",
    EngineVersion: node.Description?.Engine?.EngineVersion ?? "",
  };
}
