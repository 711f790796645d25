import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { signShared } from "../auth/tokens.js";
import { type System, startSystem } from "../contracts/system.js";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import { echo, startBackend, startTestGateway, type TestGateway } from "../gateway/harness.js";
import { lowContrast } from "./contrast.js";

const demo = resolve(import.meta.dirname, "../../config/gateway.yaml");
const chromium = chromiumPath();
const secret = "0123456789abcdef0123456789abcdef";

const attack = `<img src=x onerror="window.hit=1"> </script><script>window.hit=2</script> {{constructor}} [x](javascript:window.hit=3)`;
/** A right-to-left override, an escape of terminals, a null of JavaScript strings, and a separator that ends lines. */
const hidden = "\u202e\u001b[31m\u2028\u0085";

const proto = `
syntax = "proto3";
package evil.v1;
import "google/api/annotations.proto";
// ${attack} ${hidden}
service Evil {
  // ${attack} ${hidden}
  rpc Hit(Node) returns (Node) { option (google.api.http) = { get: "/evil/<b>{name}" }; }
  // A description with \`<b>code</b>\`.
  //
  // - ${attack}
  rpc Put(Node) returns (Node) { option (google.api.http) = { post: "/evil/{name}" body: "*" }; }
  rpc Upload(File) returns (File) { option (google.api.http) = { post: "/files" body: "*" }; }
}
message File {
  string title = 1;
  bytes data = 2;
}
// ${attack}
message Node {
  // ${attack} ${hidden}
  string name = 1;
  // Holds itself.
  Node next = 2;
  string constructor = 3;
  string __proto__ = 4;
  string toString = 5;
  Mood mood = 6;
}
// ${attack}
enum Mood {
  // ${attack}
  GOOD = 0;
}
`;

/** Opens all that can be opened, and waits for what is made then. */
const openAll = `Promise.all([...document.querySelectorAll("main details:not([open])")].map(details => new Promise(done => {
  details.addEventListener("toggle", () => done(), { once: true });
  details.open = true;
})))`;

const tooWide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

describe("the documents page in Chromium", {
  skip: chromium === undefined && "Chromium is not installed",
}, () => {
  let browser: Browser;
  let system: System;
  let backend: Awaited<ReturnType<typeof startBackend>>;
  let evil: TestGateway;
  const problems: string[] = [];

  before(async () => {
    [browser, system, backend] = await Promise.all([
      startBrowser(chromium as string),
      startSystem(demo),
      startBackend({ "/evil.v1.Evil/Put": echo, "/evil.v1.Evil/Hit": echo, "/evil.v1.Evil/Upload": echo }),
    ]);
    evil = await startTestGateway(
      `descriptors: [{ protos: ./protos }]
upstreams: { evil: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: evil.v1.Evil, upstream: evil, methods: { Put: { auth: [users] } } }]
auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }
http: { uploads: {}, docs: { path: /docs, title: "<script>window.hit=4</script>" } }
`,
      { "protos/evil.proto": proto },
    );
  });
  after(async () => {
    await browser?.close();
    await evil?.close();
    await backend?.close();
    await system?.close();
  });

  async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1300, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.on("pageerror", error => problems.push(error.message));
    page.on("console", message => {
      // What the network answered to a request that was tried is not the page's fault.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        problems.push(message.text());
    });
    await page.goto(url);
    await page.locator("#found").filter({ hasText: "operation" }).waitFor();
    return page;
  }

  const docs = (hash = ""): string => `http://127.0.0.1:${system.httpPort}/docs${hash}`;
  const operation = (service: string, key: string): string =>
    `#/operation/${encodeURIComponent(service)}/${encodeURIComponent(key)}`;
  const stream = operation("chat.v1.Rooms", "GET /chat/rooms/{room_id}/entries");
  const message = operation("messaging.query.v1.MessageService", "GET /v1/messages/{message_id}");

  async function close(page: Page): Promise<void> {
    await page.context().close();
    assert.deepEqual(problems.splice(0), []);
  }

  it("the documents page in Chromium is searched and opened by keyboard alone: name, path or comment, then Enter", async () => {
    const page = await open(docs());
    await page.keyboard.press("/");
    await page.keyboard.type("entry by entry");
    await page.getByText("1 operation", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    const heading = page.getByRole("heading", { level: 1 });
    await heading.filter({ hasText: "StreamHistory" }).waitFor();
    assert.equal(await page.evaluate("document.activeElement.tagName"), "H1");
    await page.keyboard.press("/");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("/rooms leave");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const active = await page.locator("#search").getAttribute("aria-activedescendant");
    assert.match((await page.locator(`#${active}`).textContent()) ?? "", /LeaveRoom/);
    await page.keyboard.press("Enter");
    await heading.filter({ hasText: "LeaveRoom" }).waitFor();
    await page.locator("#search").focus();
    await page.keyboard.press("Escape");
    await page
      .getByText(/operations in \d+ services/)
      .first()
      .waitFor();
    await page.getByRole("treeitem", { name: /StreamHistory/ }).click();
    await heading.filter({ hasText: "StreamHistory" }).waitFor();
    await close(page);
  });

  it("the documents page in Chromium shows parameters, schemas and reasons of an operation, and sends a request that it shows as curl", async () => {
    const page = await open(docs(message));
    const details = page.locator(".details");
    await details.getByText("message_id", { exact: true }).waitFor();
    await details
      .getByText(/MALFORMED_PATH/)
      .first()
      .waitFor();
    const form = page.locator(".try");
    await form.getByLabel("message_id").fill("12/3 4");
    await form.getByLabel("revision").fill("2");
    const curl = await page.getByLabel("the curl command", { exact: true }).textContent();
    assert.equal(curl, `curl '${new URL(docs()).origin}/v1/messages/12%2F3%204?revision=2'`);
    await form.getByRole("button", { name: "Send" }).click();
    const response = page.getByRole("region", { name: "Response", exact: true });
    await response.getByText("200 OK").waitFor();
    assert.match(
      (await response.getByLabel("the response", { exact: true }).textContent()) ?? "",
      /"messageId": "12\/3 4"/,
    );
    await form.getByLabel("revision").fill("x");
    await form.getByRole("button", { name: "Send" }).click();
    await response.getByText("400 Bad Request").waitFor();
    assert.match(
      (await response.getByLabel("the response", { exact: true }).textContent()) ?? "",
      /INVALID_VALUE/,
    );
    await close(page);
  });

  it("the documents page in Chromium shows a stream message by message, in each of its forms", async () => {
    const body = { room_id: "seen", from: "Ann", message: "first & <b>" };
    await system.send("POST", "/chat/send", { body });
    await system.send("POST", "/chat/send", { body: { ...body, message: "second" } });
    const page = await open(docs(stream));
    await page.locator(".try").getByLabel("room_id").fill("seen");
    const response = page.getByRole("region", { name: "Response", exact: true });
    for (const form of ["application/x-ndjson", "text/event-stream", "application/json"]) {
      await page.getByLabel("Stream as").selectOption(form);
      await page.getByRole("button", { name: "Send" }).click();
      await response.getByText(/2 messages.*ended/).waitFor();
      const messages = await response.locator(".messages pre").allTextContents();
      assert.deepEqual(
        messages.map(text => JSON.parse(text).message),
        ["first & <b>", "second"],
        form,
      );
    }
    await close(page);
  });

  it("the documents page in Chromium opens a WebSocket on the route of a stream, and one for rooms", async () => {
    const page = await open(docs(stream));
    await page.locator(".try").getByLabel("room_id").fill("seen");
    await page.getByRole("button", { name: "WebSocket" }).click();
    const frames = page.getByRole("list", { name: "Frames" });
    await frames.getByText('"second"').waitFor();
    await page.getByText("closed with 1000").waitFor();
    await page.getByRole("link", { name: "Rooms", exact: true }).click();
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("open", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Send message" }).click();
    await frames.getByText('"ack"').waitFor();
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.keyboard.press("Control+Enter");
    await frames.getByText('"receive-message"').waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByText("closed with 1000").waitFor();
    await close(page);
  });

  it("explains a request that was tried, and one that is pasted", async () => {
    const page = await open(docs(message));
    await page.locator(".try").getByLabel("message_id").fill("7");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("heading", { name: "Request message" }).waitFor();
    assert.match(
      (await page.getByLabel("the request message", { exact: true }).textContent()) ?? "",
      /"messageId": "7"/,
    );
    await page
      .getByLabel("Paste a request")
      .fill(
        `curl -X PATCH https://api.example.com/rooms/participant \\\n  -H 'cookie: a=b' --json '{"x":1}'`,
      );
    await page.getByRole("button", { name: "Read it" }).click();
    const outcome = page.locator(".explanation");
    await outcome.getByText(/UNKNOWN_FIELD/).waitFor();
    await outcome.getByRole("link", { name: "killrchat.v1.RoomService.LeaveRoom" }).click();
    await page.getByRole("heading", { level: 1, name: /LeaveRoom/ }).waitFor();
    await close(page);
  });

  it("the documents page sends a form with a file in place of JSON, and shows it as curl", async () => {
    const page = await open(`${evil.url}/docs${operation("evil.v1.Evil", "POST /files")}`);
    const form = page.locator(".try");
    await form.getByLabel("Send as").selectOption("multipart/form-data");
    await form.getByLabel("title").fill("Ann's");
    const file = { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("hello") };
    await form.getByLabel("data").setInputFiles(file);
    const curl = await page.getByLabel("the curl command", { exact: true }).textContent();
    assert.equal(curl, `curl -X POST '${evil.url}/files' \\\n  -F 'title=Ann'\\''s' \\\n  -F 'data=@a.txt'`);
    await form.getByRole("button", { name: "Send" }).click();
    await page.locator(".outcome").getByText("200 OK").waitFor();
    const response = await page.getByLabel("the response", { exact: true }).textContent();
    assert.deepEqual(JSON.parse(response ?? ""), { title: "Ann's", data: "aGVsbG8=" });
    await form.getByRole("button", { name: "Explain" }).click();
    await form.getByText("Only JSON bodies can be explained.").waitFor();
    await close(page);
  });

  it("runs nothing of comments and names, and shows them as text", async () => {
    const page = await open(`${evil.url}/docs${operation("evil.v1.Evil", "POST /evil/{name}")}`);
    await page.locator(".details").getByText("next", { exact: true }).first().waitFor();
    await page.evaluate(openAll);
    for (const hash of [
      "#/",
      "#/service/evil.v1.Evil",
      operation("evil.v1.Evil", "GET /evil/<b>{name}"),
      "#/<img src=x onerror=window.hit=5>",
    ]) {
      await page.goto(`${evil.url}/docs${hash}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
    }
    assert.equal(await page.evaluate("window.hit"), undefined);
    assert.equal(
      await page.evaluate("document.querySelectorAll('img, script:not([src]), iframe, b').length"),
      0,
    );
    await page.goto(`${evil.url}/docs#/service/evil.v1.Evil`);
    const text = (await page.locator("main").textContent()) ?? "";
    assert.ok(text.includes('<img src=x onerror="window.hit=1">'), text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.ok(!/[\u0000-\u0008\u000b-\u001f\u202e\u2028\u0085]/.test(text));
    await close(page);
  });

  it("the documents page in Chromium sends what was entered as credentials, and forgets it with the page", async () => {
    const token = await signShared(secret, { sub: "ann" });
    const page = await open(`${evil.url}/docs${operation("evil.v1.Evil", "POST /evil/{name}")}`);
    const form = page.locator(".try");
    await form.getByLabel("name", { exact: true }).or(form.getByLabel(/^name/)).first().fill("x");
    await form.getByLabel("Body").fill("{}");
    await form.getByRole("button", { name: "Send" }).click();
    await page.getByText("401 Unauthorized", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Credentials" }).first().click();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Done" }).click();
    await form.getByRole("button", { name: "Send" }).click();
    await page.locator(".outcome").getByText("200 OK").waitFor();
    assert.ok(
      ((await page.getByLabel("the curl command", { exact: true }).textContent()) ?? "").includes(token),
    );
    const stored = await page.evaluate(
      "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])",
    );
    assert.ok(!String(stored).includes(token));
    await page.reload();
    await form.getByText(/Needs credentials of users/).waitFor();
    await close(page);
  });

  for (const colorScheme of ["light", "dark"] as const)
    it(`the documents page in Chromium has text of a contrast of at least 4.5, ${colorScheme}`, async () => {
      const page = await open(docs(), { colorScheme });
      for (const hash of [
        "#/",
        message,
        stream,
        "#/explain",
        "#/rooms",
        operation("openim.chat.chat", "POST /user/find/full"),
      ]) {
        await page.goto(docs(hash));
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await page.locator("main").getByText("Loading…").waitFor({ state: "detached" });
        await page.evaluate(openAll);
        assert.deepEqual(await page.evaluate(lowContrast), [], hash);
      }
      await close(page);
    });

  it("fits a phone: the list first, then pages that scroll in one direction alone", async () => {
    const page = await open(docs(), {
      viewport: { width: 360, height: 740 },
      isMobile: true,
      hasTouch: true,
    });
    assert.equal(await page.evaluate(tooWide), 0);
    await page
      .getByRole("treeitem", { name: /GetHistory/ })
      .first()
      .tap();
    await page.getByRole("heading", { level: 1, name: /GetHistory/ }).waitFor();
    assert.equal(await page.locator("#search").isVisible(), false);
    for (const hash of [
      message,
      stream,
      "#/explain",
      "#/rooms",
      operation("openim.chat.chat", "POST /user/find/full"),
      "#/service/openim.chat.chat",
    ]) {
      await page.goto(docs(hash));
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await page.locator("main").getByText("Loading…").waitFor({ state: "detached" });
      assert.equal(await page.evaluate(tooWide), 0, hash);
    }
    await page.getByRole("link", { name: "Operations" }).click();
    await page.locator("#search").waitFor();
    await close(page);
  });

  it("the documents page in Chromium stays small with 15,000 operations: only the rows that are seen exist", async () => {
    const context = await browser.newContext({ viewport: { width: 1300, height: 800 } });
    const page = await context.newPage();
    const services = Array.from({ length: 500 }, (_, service) => ({
      name: `many.v${service}.Service${service}`,
      comment: "",
      document: "/openapi.json?service=none",
      operations: Array.from({ length: 30 }, (_, index) => ({
        name: `Get${service}x${index}`,
        method: "GET",
        template: `/many/${service}/${index}`,
        path: `/many/${service}/${index}`,
        summary: "",
        comment: `Number ${service * 30 + index} of many.`,
        rest: true,
        protocols: [],
        limits: [],
      })),
    }));
    const catalog = {
      title: "Many",
      openapi: "/openapi.json",
      explain: "/docs/explain",
      providers: [],
      limits: {},
      services,
    };
    await page.route("**/docs/catalog.json", route => route.fulfill({ json: catalog }));
    await page.goto(docs());
    await page.getByText("15,000 operations in 500 services").first().waitFor();
    await page.locator("#search").fill("many");
    await page.locator("#found").filter({ hasText: "15,000 operations" }).waitFor();
    await page.locator("#operations").focus();
    await page.keyboard.press("End");
    await page.getByRole("treeitem", { name: /Get499x29/ }).waitFor();
    assert.ok((await page.getByRole("treeitem").count()) < 80);
    await page.locator("#search").fill("number 14321");
    await page.getByText("1 operation", { exact: true }).waitFor();
    await context.close();
  });
});
