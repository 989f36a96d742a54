import { throws } from "node:assert/strict";
import { checkNetworking } from "./founding.ts";

Deno.test("address pools of a new cluster hold addresses that containers can have", () => {
  const check = (...DefaultAddrPool: string[]) => checkNetworking({ DefaultAddrPool });
  check("10.0.0.0/8", "172.16.0.0/12");
  for (
    const pool of ["127.0.0.0/16", "0.0.0.0/8", "224.0.0.0/8", "250.0.0.0/8", "169.254.0.0/16"]
  ) {
    throws(
      () => check("10.0.0.0/8", pool),
      /default address pool \S+ has addresses of .*no container/,
    );
  }
  throws(() => check("10.0.0.0/33"), /invalid base pool/);
});
