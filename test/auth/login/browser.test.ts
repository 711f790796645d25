import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type System, startSystem } from "../../contracts/system.js";
import { chromiumPath, startBrowser } from "../../demo/page/browser.js";
import { freePort } from "../../ports.js";
import { client, type LoginIssuer, startLoginIssuer } from "./login-issuer.js";

const example = resolve(import.meta.dirname, "../../../config/examples/login.yaml");
const chromium = chromiumPath();

/** What a page gets by `fetch` with its cookies: the status; 0 where the browser does not let it call. */
function fetched(page: Page, url: string): Promise<number> {
  return page.evaluate(
    target =>
      fetch(target, { credentials: "include" }).then(
        ({ status }) => status,
        () => 0,
      ),
    url,
  );
}

/** Opens a WebSocket and joins a room: the first frame that the page gets; undefined where the socket is refused. */
function joined(page: Page, url: string): Promise<string | undefined> {
  return page.evaluate(
    target =>
      new Promise<string | undefined>(done => {
        const socket = new WebSocket(target);
        socket.onopen = () => socket.send(JSON.stringify({ type: "join-room", room_id: "lobby", id: 1 }));
        socket.onerror = () => done(undefined);
        socket.onmessage = ({ data }) => {
          done(String(data));
          socket.close();
        };
      }),
    url,
  );
}

describe("a login in Chromium", { skip: chromium === undefined && "Chromium is not installed" }, () => {
  let browser: Browser;
  let issuer: LoginIssuer;
  let system: System;
  let gateway: string;

  before(async () => {
    browser = await startBrowser(chromium as string);
    const port = await freePort();
    // Another site than the issuer at 127.0.0.1.
    gateway = `http://localhost:${port}`;
    issuer = await startLoginIssuer([gateway]);
    system = await startSystem(example, {
      change: yaml =>
        yaml
          .replace(/\$\{HTTP_PORT:-\w+\}/, String(port))
          .replaceAll(/\$\{ISSUER:-[^}]+\}/g, issuer.url)
          .replace(/\$\{CLIENT_ID:-[^}]+\}/, client.id)
          .replace(/\$\{CLIENT_SECRET:-[^}]+\}/, client.secret)
          .replace(/\$\{PUBLIC_URL:-[^}]+\}/, gateway),
    });
  });
  after(async () => {
    await browser?.close();
    await system?.close();
    await issuer?.close();
  });

  it("a person logs in at the issuer, the page calls routes and opens sockets, other sites cannot, and a logout ends it", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(`${gateway}/v1/articles?page_size=2`);
    assert.equal(new URL(page.url()).origin, issuer.url);
    await page.locator("input[name=login]").fill("jdoe");
    await page.locator("input[name=password]").fill("any");
    await page.locator("button[type=submit]").click();
    await page.locator("button[type=submit]", { hasText: "Continue" }).click();
    await page.waitForURL(`${gateway}/v1/articles?page_size=2`);
    assert.match((await page.textContent("body")) ?? "", /"articles"/);

    assert.equal(await fetched(page, "/v1/articles"), 200);
    const sockets = `${gateway.replace("http", "ws")}/ws`;
    assert.match((await joined(page, sockets)) ?? "", /"type":"(ack|join-room)"/);
    const cookies = await page.evaluate("document.cookie");
    assert.equal(cookies, "", "no script reads the session");

    const other = await context.newPage();
    await other.goto(`${issuer.url}/.well-known/openid-configuration`);
    assert.equal(await fetched(other, `${gateway}/v1/articles`), 0);
    assert.equal(await joined(other, sockets), undefined);
    assert.equal(await fetched(other, `${gateway}/auth/logout`), 0);
    assert.equal(await fetched(page, "/v1/articles"), 200);

    await page.goto(`${gateway}/auth/logout`);
    await page.locator("button", { hasText: "Yes" }).click();
    // The page that it leads to asks for a login again.
    await page.locator("input[name=login]").waitFor();
    await page.goto(`${gateway}/nothing`);
    assert.equal(await fetched(page, "/v1/articles"), 401);
    assert.equal(await joined(page, sockets), undefined);
  });
});
