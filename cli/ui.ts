import type { Verb } from "./verb.ts";

interface Flags {
  readonly readOnly?: boolean;
  readonly quiet?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command
      .flag("--read-only", "A link for looking only, not for changes")
      .flag("-q, --quiet", "Print the link only")
      .examples("fleet ui", "fleet ui --read-only");
  },
  async run({ client, print }, _args, { readOnly, quiet }) {
    const link = await client.post<{ URL: string; SecondsLeft: number }>("/fleet/ui/links", {
      body: { Role: readOnly ? "read-only" : "operator" },
    });
    print(link.URL);
    if (quiet) return;
    const what = readOnly ? "look at the cluster" : "look at the cluster and change it";
    print(
      `\nWhoever opens it can ${what}. It works once, within ${link.SecondsLeft / 60} minutes.`,
    );
  },
};
