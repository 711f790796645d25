import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it, type TestContext } from "node:test";
import type { Browser, Page } from "playwright-core";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import { type Line, startLine } from "../demo/page/line.js";
import { root } from "../node-script.js";
import { serve } from "../realtime/harness.js";

const chromium = chromiumPath();

/** What the page in the browser keeps of its client. */
declare const seen: { states: string[]; texts: string[]; lost: number; restored: boolean };
declare const room: { send(text: string): Promise<unknown>; join(): Promise<void> };

/** Waits for its connection so long that only what happens to the page brings it back. */
const html = `<!doctype html><title>client</title><script src="/client.js"></script><script>
const seen = { states: [], texts: [], lost: 0, restored: false };
addEventListener("pageshow", ({ persisted }) => (seen.restored = persisted));
const url = "ws://127.0.0.1:" + location.hash.slice(1) + "/ws";
const backoff = { min: 600000, max: 600000 };
const client = new Protogate.Client({ url, connectTimeout: 60000, responseTimeout: 300, backoff });
client.on("state", ({ state }) => seen.states.push(state));
const room = client.room("x", { from: "Ann" });
room.on("message", ({ message }) => {
  seen.texts.push(message);
  fetch("/seen", { method: "POST", body: JSON.stringify(seen), keepalive: true });
});
room.on("lost", ({ from, to }) => (seen.lost += to - from + 1));
</script>`;

const other = `<!doctype html><title>other</title><script>fetch("/back").then(() => history.back());</script>`;

describe("the client in a page", { skip: chromium === undefined && "Chromium is not installed" }, () => {
  let browser: Browser;
  let files: Server;
  let origin: string;
  /** Called with what a page has seen, by `fetch`: no debugger follows a page into the back/forward cache and out again. */
  let onSeen: (told: typeof seen) => void = () => {};
  /** Lets the other page go back. */
  let goBack: Promise<void>;

  before(async () => {
    execFileSync(process.execPath, [join(root, "clients/js/build.mjs")]);
    const script = readFileSync(join(root, "clients/js/dist/protogate-client.min.js"));
    files = createServer(async (request, response) => {
      const { url } = request;
      if (url === "/seen") onSeen(JSON.parse(await text(request)));
      if (url === "/back") await goBack;
      const isScript = url === "/client.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? script : url === "/other" ? other : html);
    });
    files.listen(0, "127.0.0.1");
    await once(files, "listening");
    origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
    browser = await startBrowser(chromium as string);
  });
  after(async () => {
    await browser?.close();
    files.closeAllConnections();
    files.close();
  });

  /** A page that is in a room, and what else one needs to try it. */
  async function enter(t: TestContext): Promise<{
    readonly page: Page;
    readonly line: Line;
    readonly publish: (text: string) => unknown;
    readonly open: () => Promise<Page>;
  }> {
    const { port, realtime } = await serve(t, { settings: { origins: new RequestOrigins(["*"], 0) } });
    const line = await startLine(port);
    const context = await browser.newContext();
    t.after(async () => {
      await context.close();
      await line.close();
    });
    const open = async (): Promise<Page> => {
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      await page.goto(`${origin}/#${line.port}`);
      await page.evaluate(() => room.join());
      return page;
    };
    const publish = (text: string) => realtime.local.send("x", '"Bob"', { message: text });
    return { page: await open(), line, publish, open };
  }

  const has = (page: Page, text: string): Promise<unknown> =>
    page.waitForFunction(wanted => seen.texts.includes(wanted), text);
  const is = (page: Page, state: string): Promise<unknown> =>
    page.waitForFunction(wanted => seen.states.at(-1) === wanted, state);
  const texts = (page: Page): Promise<string[]> => page.evaluate(() => seen.texts);

  it("a page that goes offline notices within its response timeout, and is back as soon as it is online", async t => {
    const { page, line, publish } = await enter(t);
    line.hold();
    await page.context().setOffline(true);
    await is(page, "waiting");
    line.cut();
    publish("meanwhile");
    line.restore();
    await page.context().setOffline(false);
    await has(page, "meanwhile");
    assert.deepEqual(await texts(page), ["meanwhile"]);
  });

  it("a page from the back/forward cache gets what was published while it was there", async t => {
    const { page, publish } = await enter(t);
    publish("before");
    await has(page, "before");
    let back = (): void => {};
    goBack = new Promise(resolve => (back = resolve));
    const told = new Promise<typeof seen>(resolve => (onSeen = resolve));
    await page.goto(`${origin}/other`);
    publish("meanwhile");
    back();
    assert.deepEqual(await told, {
      states: ["connecting", "open", "paused", "connecting", "open"],
      texts: ["before", "meanwhile"],
      lost: 0,
      restored: true,
    });
  });

  it("a page that was frozen gets what was published while it slept", async t => {
    const { page, publish } = await enter(t);
    // Chromium freezes only pages that nobody debugs: the events of a page that it does freeze.
    const happens = (name: string) => page.evaluate(`document.dispatchEvent(new Event("${name}"))`);
    await happens("freeze");
    publish("meanwhile");
    await happens("resume");
    await has(page, "meanwhile");
    assert.deepEqual(await page.evaluate(() => seen.states), [
      "connecting",
      "open",
      "paused",
      "connecting",
      "open",
    ]);
  });

  it("two tabs of one browser are two members", async t => {
    const { page, open } = await enter(t);
    const second = await open();
    await page.evaluate(() => room.send("from the first"));
    await second.evaluate(() => room.send("from the second"));
    for (const each of [page, second]) await has(each, "from the second");
    for (const each of [page, second])
      assert.deepEqual(await texts(each), ["from the first", "from the second"]);
  });
});
