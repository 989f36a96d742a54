import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { Service } from "../../model/service.ts";
import { forgetSuperseded } from "../orchestrator/superseded.ts";
import { controlContext } from "../../../tests/support/control_context.ts";
import { createFileObject, removeFileObject } from "./file_objects.ts";
import { rotateFileObject } from "./file_versions.ts";
import { createService } from "./services.ts";

function world() {
  const context = controlContext();
  const { tx } = context;
  const { id: secret } = createFileObject(context, "secret", {
    Name: "pw",
    Data: "YQ==",
    Labels: { a: "b" },
  });
  const create = (name: string) =>
    createService(context, {
      spec: {
        Name: name,
        TaskTemplate: {
          ContainerSpec: {
            Image: "x",
            Secrets: [{ SecretID: secret, SecretName: "pw", File: { Name: "pw" } }],
          },
        },
      },
    }).id;
  return { tx, context, secret, create };
}

const secretOf = (service: Service | undefined) =>
  service?.Spec.TaskTemplate?.ContainerSpec?.Secrets?.[0]?.SecretID;

Deno.test("a new version takes the name, its users roll to it, and the old one stays while it is used", () => {
  const { tx, context, secret, create } = world();
  const [web, own] = [create("web"), create("own")];
  const rotated = rotateFileObject(context, "secret", {
    id: secret,
    version: 0,
    data: "Yg==",
    except: [own],
  });
  deepStrictEqual(rotated.services, ["web"]);
  strictEqual(tx.byName("secret", "pw")?.ID, rotated.id);
  deepStrictEqual(tx.get("secret", rotated.id)?.Spec.Labels, { a: "b" });
  strictEqual(tx.get("secret", secret)?.Spec.Name, "pw.v1");
  strictEqual(secretOf(tx.get("service", web)), rotated.id);
  strictEqual(secretOf(tx.get("service", own)), secret, "the caller updates that one itself");
  strictEqual(
    tx.get("service", web)?.PreviousSpec?.TaskTemplate?.ContainerSpec?.Secrets?.[0]?.SecretID,
    secret,
    "a roll-back finds the old version",
  );
  throws(() => removeFileObject(context, "secret", secret), /'pw\.v1' is in use by .* own/);
  deepStrictEqual(forgetSuperseded(tx, "secret", secret), []);
  tx.remove("service", web);
  deepStrictEqual(forgetSuperseded(tx, "secret", secret), [], "the other service has it still");
  const task = {
    ID: "t",
    ServiceID: own,
    Spec: tx.get("service", own)!.Spec.TaskTemplate!,
    Status: { State: "running" as const },
    DesiredState: "shutdown" as const,
  };
  tx.create("task", task);
  tx.remove("service", own);
  deepStrictEqual(forgetSuperseded(tx, "secret", secret), [], "a task runs with it still");
  tx.update("task", { ...tx.get("task", "t")!, Status: { State: "shutdown" } });
  deepStrictEqual(forgetSuperseded(tx, "secret", secret), [
    { op: "remove", table: "secret", id: secret },
  ]);
  deepStrictEqual(forgetSuperseded(tx, "secret", rotated.id), [], "never the current one");
});

Deno.test("the same data is no new version; an old version has none after it", () => {
  const { context, secret, tx } = world();
  const rotate = (id: string, data: string) =>
    rotateFileObject(context, "secret", { id, version: 0, data, except: [] });
  strictEqual(rotate(secret, "YQ==").id, secret);
  const second = rotate(secret, "Yg==").id;
  throws(() => rotate(secret, "Yw=="), /old version/);
  rotate(second, "Yw==");
  deepStrictEqual(
    [...tx.all("secret")].map(({ Spec }) => Spec.Name).sort(),
    ["pw", "pw.v1", "pw.v2"],
  );
  throws(() => rotate(tx.byName("secret", "pw")!.ID, "no base64!"), /base64/);
});

Deno.test("sizes and names of secrets and configs have bounds", () => {
  const { context } = world();
  const data = (bytes: number) => btoa("x".repeat(bytes));
  const create = (kind: "secret" | "config", bytes: number, name = `${kind}${bytes}`) =>
    createFileObject(context, kind, { Name: name, Data: data(bytes) });
  create("secret", 500 * 1024 - 1);
  create("config", 1000 * 1024 - 1);
  throws(() => create("secret", 500 * 1024), /larger than 0 and less than 512000 bytes/);
  throws(() => create("config", 1000 * 1024), /larger than 0 and less than 1024000 bytes/);
  throws(() => create("secret", 0), /larger than 0/);
  throws(() => create("secret", 1, "pw"), /already exists/);
  throws(() => create("secret", 1, "a/b"), /invalid secret name/);
  const { id } = create("config", 900 * 1024);
  throws(
    () =>
      rotateFileObject(context, "config", {
        id,
        version: 0,
        data: data(900 * 1024 - 1),
        except: [],
      }),
    /together are too large for one change; create it under a new name/,
  );
});
