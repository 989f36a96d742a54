import assert from "node:assert/strict";
import { Database } from "./database.ts";
import { WORKER_FORMAT } from "./schema.ts";
import type { WorkerSchema } from "./schema.ts";
import { withFolder } from "./test_support.ts";

Deno.test("a full disk refuses the change, keeps the rest, and works on once there is room", () =>
  withFolder((folder) => {
    const path = `${folder}/worker.db`;
    Database.create<WorkerSchema>(path, WORKER_FORMAT, () => {});
    const database = Database.open<WorkerSchema>(path, WORKER_FORMAT);
    const put = (id: string) =>
      database.transaction(() => {
        database.raw.prepare("INSERT INTO worker_task VALUES (?, zeroblob(9000), NULL)").run(id);
        database.raw.prepare("INSERT INTO worker_task VALUES (?, zeroblob(9000), NULL)").run(
          id + "x",
        );
      });
    const ids = () =>
      database.raw.prepare("SELECT id FROM worker_task").all().map((row) => row["id"]);
    put("a");
    database.raw.exec("PRAGMA max_page_count=10");
    assert.throws(() => put("b"), {
      kind: "unavailable",
      message:
        `no space left for ${path}: free some space; nothing was lost, the change was not made`,
    });
    assert.deepEqual(ids(), ["a", "ax"]);
    database.raw.exec("PRAGMA max_page_count=1000");
    put("b");
    database.close();
    const again = Database.open<WorkerSchema>(path, WORKER_FORMAT);
    assert.equal(again.raw.prepare("SELECT count(*) AS n FROM worker_task").get()!["n"], 4);
    again.close();
  }));
