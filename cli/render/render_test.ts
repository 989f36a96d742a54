import assert from "node:assert/strict";
import { naturalCompare } from "./natural_sort.ts";
import { renderList } from "./list.ts";
import { portsText } from "./services.ts";
import { renderTable } from "./table.ts";
import type { ApiTask } from "../api_types.ts";
import { imageText, renderTasks } from "./tasks.ts";
import { ago, bytesText, ellipsis, timeText } from "./text.ts";

Deno.test("tables count characters, keep a least width and do not pad the last column", () => {
  assert.equal(
    renderTable([["ID", "NAME", "X"], ["1", "a name beyond the width", "…"], ["…", "", "z"]]),
    [
      "ID        NAME                      X",
      "1         a name beyond the width   …",
      "…                                   z",
      "",
    ].join("\n"),
  );
});

Deno.test("numbers in names sort as numbers", () => {
  const names = ["a10", "a2", "b", "a", "a02x", "a2b1"];
  assert.deepEqual(names.sort(naturalCompare), ["a", "a02x", "a2", "a2b1", "a10", "b"]);
});

Deno.test("a list comes as table, ids, json, template or table of a template", () => {
  const shape = { headers: { ID: "ID", Name: "NAME" }, columns: ["ID", "Name"] };
  const rows = [{ ID: "1", Name: "web" }, { ID: "2", Name: "db" }];
  const list = (format?: string, quiet = false) =>
    renderList(shape, rows, { quiet, ...(format === undefined ? {} : { format }) });
  assert.equal(list(), "ID        NAME\n1         web\n2         db\n");
  assert.equal(list(undefined, true), "1\n2\n");
  assert.equal(list("json"), '{"ID":"1","Name":"web"}\n{"ID":"2","Name":"db"}\n');
  assert.equal(list("{{.Name}}"), "web\ndb\n");
  assert.equal(list("table {{.Name}}\\t{{.ID}}"), "NAME      ID\nweb       1\ndb        2\n");
  assert.throws(() => list("Name"), /use table, json, yaml, or a template such as '\{\{\.ID\}\}'/);
});

Deno.test("a task that waits for its restart shows until when", () => {
  const row = (Status: ApiTask["Status"]) =>
    renderTasks(
      [{ ...({} as ApiTask), ID: "t", Slot: 1, Status }],
      { service: () => "web", node: (id) => id },
      0,
      { format: "{{.Error}}" },
    );
  const Message = "restarts at 15:04:05 UTC: failed 6 times in a row";
  assert.equal(
    row({ State: "ready", Message } as ApiTask["Status"]),
    '"restarts at 15:04:05 UTC: fai…"\n',
  );
  assert.equal(row({ State: "ready", Message: "prepared" } as ApiTask["Status"]), "\n");
});

Deno.test("neighbouring published ports are ranges", () => {
  const port = (PublishedPort: number, TargetPort: number, Protocol = "tcp") => ({
    PublishedPort,
    TargetPort,
    Protocol,
    PublishMode: "ingress",
  });
  assert.equal(
    portsText([port(82, 8082), port(80, 8080), port(81, 8081), port(90, 90), port(53, 53, "udp")]),
    "*:80-82->8080-8082/tcp, *:90->90/tcp, *:53->53/udp",
  );
});

Deno.test("values are written as Docker's client writes them", () => {
  assert.equal(ellipsis("abcdef", 4), "abc…");
  assert.equal(bytesText(1536 * 1024), "1.5MiB");
  assert.equal(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:02:00Z")), "2 minutes ago");
  assert.equal(ago("0001-01-01T00:00:00Z", 1), "");
  assert.equal(timeText("2026-11-20T10:00:00.120000000Z"), "2026-11-20 10:00:00.12 +0000 utc");
  assert.equal(imageText("reg:5000/a:1@sha256:00"), "reg:5000/a:1");
  assert.equal(imageText("a@sha256:00"), "a@sha256:00");
});
