import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { WebSocket } from "ws";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import { lowContrast } from "../docs-page/contrast.js";
import { echoProto } from "../gateway/echo.js";
import { echo, send, startBackend, startTestGateway, type TestGateway } from "../gateway/harness.js";

const chromium = chromiumPath();
const token = "operators-only";
const tooWide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
/** A room that is named to do harm. */
const attack = '<img src=x onerror="window.hit=1">\u202e';

describe("the status page in Chromium", {
  skip: chromium === undefined ? "Chromium is not installed" : withoutOpenssl,
}, () => {
  let browser: Browser;
  let backend: Awaited<ReturnType<typeof startBackend>>;
  let gateway: TestGateway;
  let admin: string;
  let socket: WebSocket;
  const problems: string[] = [];
  const expired =
    withoutOpenssl === false
      ? new Authority("test").issue("expired", "/CN=localhost", "DNS.1 = localhost", -1)
      : undefined;
  const settings = () => ({ admin: { token, tls: { cert: expired?.certFile, key: expired?.keyFile } } });

  before(async () => {
    [browser, backend] = await Promise.all([
      startBrowser(chromium as string),
      startBackend({ "/test.v1.Echo/Get": echo }),
    ]);
    gateway = await startTestGateway(yaml(""), { "protos/echo.proto": echoProto }, undefined, settings());
    admin = gateway.admin.replace("http:", "https:");
    socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`);
    await once(socket, "open");
    const joined = once(socket, "message");
    socket.send(JSON.stringify({ type: "join-room", room_id: attack, from: "eve", id: 1 }));
    await joined;
  });
  after(async () => {
    await browser?.close();
    socket?.terminate();
    await gateway?.close();
    await backend?.close();
  });

  const yaml = (more: string): string => `
descriptors: [{ protos: ./protos }]
upstreams:
  items: { targets: ["127.0.0.1:${backend.port}"] }
  broken: { targets: ["127.0.0.1:1"], health: { service: "" } }
services:
  - { service: test.v1.Echo, upstream: items${more} }
realtime: { path: /ws, auth: none }
http: { docs: { path: /docs, openapi: /openapi.json, auth: none } }
`;

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.on("pageerror", error => problems.push(error.message));
    page.on("console", message => {
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        problems.push(message.text());
    });
    await page.goto(`${admin}/`);
    return page;
  }

  /** Sends the token as an operator does, and waits for rates. */
  async function enter(page: Page): Promise<void> {
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Routes" }).waitFor();
    await page.locator("#tiles .value").first().filter({ hasText: /\d/ }).waitFor();
  }

  async function close(page: Page): Promise<void> {
    await page.context().close();
    assert.deepEqual(problems.splice(0), []);
  }

  it("the status page in Chromium shows nothing before the token is entered, and reports a wrong token", async () => {
    const page = await open();
    await page.getByText("Token of the admin listener").waitFor();
    assert.equal(await page.getByRole("heading", { name: "Routes" }).isVisible(), false);
    assert.equal(await page.evaluate("document.activeElement.id"), "token");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The token is wrong.").waitFor();
    await enter(page);
    assert.deepEqual(await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]"), [
      0,
      0,
      "",
    ]);
    await close(page);
  });

  it("the status page in Chromium shows routes, failures, upstreams, rooms, reloads and certificates as they are", async () => {
    const page = await open();
    await enter(page);
    const trace = "0af7651916cd43dd8448eb211c80319c";
    await send(`${gateway.url}/v1/items/7`);
    const traced = {
      "content-type": "application/json",
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
      "x-request-id": "failed-1",
    };
    await send(`${gateway.url}/v1/items`, { method: "POST", body: "{}", headers: traced });
    const row = page.locator("#routes tr").filter({ hasText: "/v1/items/{id}" });
    await row.waitFor();
    const failure = page.locator("#failures tr").filter({ hasText: trace });
    await failure.waitFor();
    assert.match(
      (await failure.textContent()) ?? "",
      /501UNIMPLEMENTEDitemsPOST\/v1\/itemsrequest failed-1trace/,
    );
    const broken = page.locator(".upstream").filter({ hasText: "broken" });
    await broken.getByText("0 of 1 usable").waitFor();
    await page.locator("#rooms").getByText("<img src=x onerror").waitFor();
    assert.equal(await page.evaluate("window.hit"), undefined);
    await page
      .locator("#certificates")
      .getByText(/^Expired \d{4}-\d\d-\d\d$/)
      .waitFor();
    gateway.rewrite(yaml(", timeout: 3s"), settings());
    await gateway.reload();
    const reload = page.locator(".reload").first();
    await reload.getByText("services[0].timeout").waitFor();
    await page.getByText(/^upstream broken: 0 of 1 endpoints usable$/).waitFor();
    await close(page);
  });

  it("the status page in Chromium lists the files of the documents page only for a filter", async () => {
    await send(`${gateway.url}/docs`);
    await send(`${gateway.url}/v1/items/7`);
    const page = await open();
    await enter(page);
    const rows = page.locator("#routes tbody tr");
    await rows.filter({ hasText: "/v1/items" }).first().waitFor();
    assert.equal(await rows.filter({ hasText: "/docs" }).count(), 0);
    await page.getByLabel("Filter routes").fill("docs");
    await rows.filter({ hasText: "/docs" }).first().waitFor();
    assert.equal(await rows.filter({ hasText: "/v1/items" }).count(), 0);
    await close(page);
  });

  it("the status page in Chromium can be read at phone width and in both color schemes, and is used by keyboard", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open({ viewport: { width: 390, height: 844 }, colorScheme });
      await enter(page);
      await send(`${gateway.url}/v1/items/7`);
      await page.locator("#routes tr").filter({ hasText: "/v1/items/{id}" }).waitFor();
      assert.deepEqual(await page.evaluate(lowContrast), [], colorScheme);
      assert.equal(await page.evaluate(tooWide), 0);
      await page.getByLabel("Filter routes").focus();
      await page.keyboard.type("no such route");
      await page.locator("#routes").getByText("No requests yet.").waitFor();
      await page.getByRole("button", { name: "Pause" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Go on", pressed: true }).waitFor();
      await close(page);
    }
  });
});
