/** Makes a lab and stays: the maker that `lab_test.ts` kills. */
import { Lab } from "../../../src/adapters/lab_hosts/lab.ts";

const [name = "", hosts = "1"] = Deno.args;
await Lab.up({ name, hosts: Number(hosts), onProgress: console.log });
console.log("up");
await new Promise((resolve) => setTimeout(resolve, 60_000));
