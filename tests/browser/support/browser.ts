import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Page } from "playwright-core";

/** Debian's Chromium; scripts/setup.ts installs it. */
const CHROMIUM = "/usr/bin/chromium";

/**
 * Chromium inside a lab host's network namespace, so that it reaches what serves that host's loopback
 * address; in this process's own one without a name.
 */
export async function launchBrowser(namespace?: string): Promise<Browser> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-browser-" });
  const enter = namespace ? `nsenter --net=/run/netns/${namespace} ` : "";
  const script = `${folder}/chromium`;
  await Deno.writeTextFile(script, `#!/bin/sh\nexec ${enter}${CHROMIUM} "$@"\n`);
  await Deno.chmod(script, 0o755);
  const browser = await chromium.launch({
    executablePath: script,
    // Tests run as root, and /dev/shm of a container is small.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
  });
  browser.on("disconnected", () => void Deno.remove(folder, { recursive: true }).catch(() => {}));
  return browser;
}

/** A page of `server` that collects what it must not have: script errors, violations of its policy, foreign requests. */
export async function newPage(
  context: BrowserContext,
  server = "127.0.0.1",
): Promise<{ page: Page; complaints: string[] }> {
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    if (/Content Security Policy|Refused to|violates/i.test(text)) {
      complaints.push(`policy: ${text}`);
    }
  });
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== server) {
      complaints.push(`foreign request: ${request.url()}`);
    }
  });
  return { page, complaints };
}
