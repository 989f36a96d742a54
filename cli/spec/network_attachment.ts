import { FleetError } from "../../src/base/errors.ts";
import type { NetworkAttachmentConfig } from "../../src/model/service_spec.ts";
import { needValue, parseFields, parsePair } from "./pairs.ts";

/** `name` or `name=…,alias=…,driver-opt=k=v`; `Target` is still the name. @throws FleetError invalid */
export function parseNetworkAttachment(text: string): NetworkAttachmentConfig {
  const fields = parseFields(text);
  if (fields.length === 1 && fields[0]?.value === undefined) return { Target: text.trim() };
  let target = "";
  const aliases: string[] = [];
  const options: Record<string, string> = {};
  for (const { key, value } of fields) {
    const given = needValue(`network "${text}"`, key, value);
    if (key === "name") target = given;
    else if (key === "alias") aliases.push(given);
    else if (key === "driver-opt") {
      const [name, option] = parsePair(given);
      options[name] = option;
    } else throw new FleetError("invalid", `network "${text}": unknown field "${key}"`);
  }
  if (target === "") throw new FleetError("invalid", `network "${text}": name is required`);
  return {
    Target: target,
    ...(aliases.length > 0 ? { Aliases: aliases } : {}),
    ...(Object.keys(options).length > 0 ? { DriverOpts: options } : {}),
  };
}
