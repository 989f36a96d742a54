import type { VmNetwork } from "./vm_network.ts";

/** What was on the cable meanwhile. */
export interface CableCapture {
  /** Packets of ESP. */
  readonly esp: number;
  /** Packets to a UDP port in clear. */
  readonly clear: number;
  /** Lines of the capture with the text. */
  readonly text: number;
}

const LONGEST_S = 900;
/** The head of a capture file: it is there when tcpdump listens. */
const HEAD_BYTES = 24;

/** Sent when the rest has been: what comes before it in the file is all there. */
const LAST = "fleet-last-packet";

/** Captures what a machine sends and gets while `run` lasts, and counts ESP, UDP to `port`, and `text`. */
export async function captureDuring(
  network: VmNetwork,
  what: { readonly host: string; readonly port: number; readonly text: string },
  run: () => Promise<void>,
): Promise<CableCapture> {
  const file = (await network.must("mktemp /tmp/fleet-cable.XXXXXX")).trim();
  const end = network.run(
    `timeout ${LONGEST_S} tcpdump -q -U --immediate-mode -s 0 -B 16384 -i cable -w ${file} host ${what.host} & echo $! >${file}.pid; wait $!`,
    { timeoutMs: (LONGEST_S + 10) * 1000 },
  );
  try {
    await network.must(
      `until [ "$(stat -c %s ${file})" -ge ${HEAD_BYTES} ]; do sleep 0.05; done`,
      { timeoutMs: 60_000 },
    );
    await run();
    await network.must(
      `until grep -qa ${LAST} ${file}; do
         perl -MSocket -e 'socket(S, 2, 2, 17); send(S, "${LAST}", 0, pack_sockaddr_in(9, inet_aton("${what.host}")))'
         sleep 0.1
       done`,
      { timeoutMs: 60_000 },
    );
    await network.run(`kill $(cat ${file}.pid)`);
    await end;
    const count = async (filter: string) =>
      Number(await network.must(`tcpdump -nr ${file} ${filter} 2>/dev/null | wc -l`));
    const text = await network.run(`grep -ac ${what.text} ${file}`);
    return {
      esp: await count("esp"),
      clear: await count(`udp port ${what.port}`),
      text: Number(text.stdout),
    };
  } finally {
    await network.run(`kill $(cat ${file}.pid) 2>/dev/null; rm -f ${file} ${file}.pid`);
    await end;
  }
}
