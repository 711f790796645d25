import { execFileSync } from "node:child_process";
import { type Browser, chromium } from "playwright-core";

/** Where Chromium is; undefined where it is not installed. */
export function chromiumPath(): string | undefined {
  try {
    return execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** A browser with a new, empty profile that talks to nobody but the tests. */
export function startBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // Pages are put into the back/forward cache, as in the browsers of people.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
