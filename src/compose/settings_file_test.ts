import { strictEqual, throws } from "node:assert/strict";
import { settingsLogLevel } from "./settings_file.ts";

Deno.test("settings file: the last log level counts, quoted or not; a comment does not", () => {
  const level = (text: string) => settingsLogLevel(text, "/etc/default/fleet");
  strictEqual(level(""), undefined);
  strictEqual(level("#FLEET_LOG_LEVEL=debug\n"), undefined);
  strictEqual(level("FLEET_LOG_LEVEL=debug\nFLEET_LOG_LEVEL='warn'\n"), "warn");
  strictEqual(level("FLEET_LOG_LEVEL=\n"), undefined);
  throws(() => level("FLEET_LOG_LEVEL=loud"), /"loud" is none of debug, info, warn, error/);
});
