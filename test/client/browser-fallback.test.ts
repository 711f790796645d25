import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import type { Browser, Page } from "playwright-core";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import { startTestGateway } from "../gateway/harness.js";
import { root } from "../node-script.js";
import { type HttpProxy, startHttpProxy } from "./http-proxy.js";
import { connectTo, served } from "./members.js";

const chromium = chromiumPath();

declare const seen: { states: string[]; texts: string[]; lost: number };
declare const client: { readonly state: { readonly transport?: string } };
declare const room: { send(text: string): Promise<unknown>; join(): Promise<void> };

const html = `<!doctype html><title>client</title>
<script src="/client.js"></script><script src="/fallback.js"></script><script>
const seen = { states: [], texts: [], lost: 0 };
const { sseTransport, pollTransport } = ProtogateFallback;
const client = new Protogate.Client({
  url: "ws://127.0.0.1:" + location.hash.slice(1) + "/ws",
  transports: ["websocket", sseTransport(), pollTransport()],
  connectTimeout: 3000,
  backoff: { min: 50, max: 500 },
  ...(location.search === "?soon" && { upgrade: { min: 50, max: 500 } }),
});
client.on("state", ({ state }) => seen.states.push(state));
const room = client.room("x", { from: "Ann" });
room.on("message", ({ message }) => seen.texts.push(message));
room.on("lost", ({ from, to }) => (seen.lost += to - from + 1));
</script>`;

describe("the client in a page without WebSockets", {
  skip: chromium === undefined && "Chromium is not installed",
}, () => {
  let browser: Browser;
  let files: Server;
  let origin: string;

  before(async () => {
    execFileSync(process.execPath, [join(root, "clients/js/build.mjs")]);
    const script = (name: string) => readFileSync(join(root, `clients/js/dist/protogate-${name}.min.js`));
    const scripts: Record<string, Buffer> = {
      "/client.js": script("client"),
      "/fallback.js": script("fallback"),
    };
    files = createServer(({ url = "" }, response) => {
      response.setHeader("content-type", scripts[url] === undefined ? "text/html" : "text/javascript");
      response.end(scripts[url] ?? html);
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

  /** A page of another origin than the gateway's that is in a room, behind a proxy that passes no upgrades. */
  async function enter(t: TestContext, holds: boolean, query = "") {
    const gateway = await startTestGateway(
      `realtime: { ${served}, origins: ["${origin}"] }\nserver: { drain: 500ms }\n`,
      {},
    );
    t.after(() => gateway.close());
    const proxy = await startHttpProxy(t, gateway.httpPort);
    proxy.holds = holds;
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`${origin}/${query}#${proxy.port}`);
    await page.evaluate(() => room.join());
    const other = connectTo(t, gateway.httpPort).room("x", { from: "Bob" });
    await other.join();
    return { page, proxy, other };
  }

  const has = (page: Page, text: string): Promise<unknown> =>
    page.waitForFunction(wanted => seen.texts.includes(wanted), text);
  const seenBy = (page: Page): Promise<typeof seen> => page.evaluate(() => seen);
  const by = (page: Page): Promise<string | undefined> => page.evaluate(() => client.state.transport);
  const upgrades = ({ requests }: HttpProxy): number =>
    requests.filter(kind => kind === "GET upgrade").length;

  for (const [transport, holds] of [
    ["sse", false],
    ["poll", true],
  ] as const) {
    it(`a page of another origin is in a room by ${transport}, offline and online again`, async t => {
      const { page, proxy, other } = await enter(t, holds);
      assert.equal(await by(page), transport);
      await other.send("before");
      await page.evaluate(() => room.send("mine"));
      await has(page, "mine");
      await page.context().setOffline(true);
      proxy.cut();
      await page.waitForFunction(() => seen.states.at(-1) === "waiting");
      await other.send("meanwhile");
      proxy.restore();
      await page.context().setOffline(false);
      await has(page, "meanwhile");
      await page.evaluate(() => room.send("again"));
      await has(page, "again");
      const { texts, lost } = await seenBy(page);
      assert.deepEqual([texts, lost], [["before", "mine", "meanwhile", "again"], 0]);
      assert.equal(await by(page), transport);
    });

    it(`a page by ${transport} that is closed leaves its rooms`, async t => {
      const { page, other } = await enter(t, holds);
      const left = new Promise(resolve => other.on("leave", resolve));
      await page.goto("about:blank");
      assert.equal(await left, "Ann");
    });

    it(`a page by ${transport} that was frozen gets what was published while it slept`, async t => {
      const { page, other } = await enter(t, holds);
      const happens = (name: string) => page.evaluate(`document.dispatchEvent(new Event("${name}"))`);
      await happens("freeze");
      await other.send("meanwhile");
      await happens("resume");
      await has(page, "meanwhile");
      const { texts, lost } = await seenBy(page);
      assert.deepEqual([texts, lost], [["meanwhile"], 0]);
    });
  }

  const usesWebSocket = (page: Page): Promise<unknown> =>
    page.waitForFunction(() => client.state.transport === "websocket");

  it("a page comes back from server-sent events to a WebSocket when WebSockets pass again, and misses nothing", async t => {
    const { page, proxy, other } = await enter(t, false, "?soon");
    assert.equal(await by(page), "sse");
    while (upgrades(proxy) < 3) await other.send(`blocked ${upgrades(proxy)}`);
    assert.equal(await by(page), "sse");
    proxy.upgrades = true;
    const sent: string[] = [];
    let moved = false;
    const moves = usesWebSocket(page).then(() => {
      moved = true;
    });
    while (!moved) {
      sent.push(`${sent.length}`);
      await other.send(sent.at(-1) ?? "");
    }
    await moves;
    await page.evaluate(() => room.send("mine"));
    await has(page, "mine");
    const { texts, lost } = await seenBy(page);
    assert.deepEqual([texts.filter(text => !text.startsWith("blocked")), lost], [[...sent, "mine"], 0]);
    assert.deepEqual((await other.presence()).members.toSorted(), ["Ann", "Bob"]);
  });

  it("a page whose browser is online again tries a WebSocket at once", async t => {
    const { page, proxy, other } = await enter(t, false);
    assert.equal(await by(page), "sse");
    await page.context().setOffline(true);
    proxy.cut();
    await page.waitForFunction(() => seen.states.at(-1) === "waiting");
    await other.send("meanwhile");
    proxy.restore();
    proxy.upgrades = true;
    await page.context().setOffline(false);
    await usesWebSocket(page);
    await has(page, "meanwhile");
    const { texts, lost } = await seenBy(page);
    assert.deepEqual([texts, lost], [["meanwhile"], 0]);
    assert.equal(upgrades(proxy), 2);
  });
});
