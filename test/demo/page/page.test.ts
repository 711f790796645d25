import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { chatPage } from "../../../src/demo/chat-page.js";
import { type System, startSystem } from "../../contracts/system.js";
import { chromiumPath, startBrowser } from "./browser.js";
import { type Line, startLine } from "./line.js";

const config = resolve(import.meta.dirname, "../../../config/gateway.yaml");
const chromium = chromiumPath();

/** Somebody at a browser of their own. */
class Visitor {
  /** What went wrong on the page. */
  readonly errors: string[] = [];

  constructor(
    readonly page: Page,
    readonly line: Line,
  ) {
    page.setDefaultTimeout(60_000);
    page.on("console", message => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    page.on("pageerror", error => this.errors.push(error.message));
  }

  async enter(name: string, room: string, connection = "Whatever passes"): Promise<void> {
    await this.page.goto(`http://127.0.0.1:${this.line.port}/demo`);
    await this.page.getByLabel("Connection").selectOption(connection);
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("textbox", { name: "Room" }).fill(room);
    await this.page.getByRole("button", { name: "Join" }).click();
  }

  async say(text: string): Promise<void> {
    await this.page.getByRole("textbox", { name: "Message" }).fill(text);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** Resolves when the page shows that text somewhere. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  /** Resolves when exactly these are in the room. */
  async seesMembers(...names: readonly string[]): Promise<void> {
    await this.page.getByRole("heading", { name: `In the room: ${names.length}` }).waitFor();
    const members = this.page.locator("#members");
    for (const name of names) await members.getByText(name, { exact: true }).waitFor();
  }

  /** Of the messages shown, in order. */
  texts(): Promise<string[]> {
    return this.page.locator("#messages .text").allTextContents();
  }

  /** Connects without waiting any longer. */
  async reconnect(): Promise<void> {
    await this.page.locator("body").dispatchEvent("online");
  }
}

describe("the chat page of the demo", { skip: chromium === undefined && "Chromium is not installed" }, () => {
  let browser: Browser;
  let system: System;
  const closes: (() => Promise<void>)[] = [];

  before(async () => {
    browser = await startBrowser(chromium as string);
  });
  after(() => browser?.close());
  beforeEach(async () => {
    system = await startSystem(config, { endpoints: chatPage() });
  });
  afterEach(async () => {
    for (const close of closes.splice(0).reverse()) await close();
    await system.close();
  });

  async function visitor(): Promise<Visitor> {
    const line = await startLine(system.httpPort);
    const context = await browser.newContext();
    closes.push(async () => {
      await context.close();
      await line.close();
    });
    return new Visitor(await context.newPage(), line);
  }

  it("the chat page of the demo lets two tabs talk, shows who is there, and what was said before", async () => {
    const ann = await visitor();
    const bob = await visitor();
    await ann.enter("Ann", "general");
    await ann.seesMembers("Ann (you)");
    await bob.enter("Bob", "general");
    await ann.sees("Bob has joined");
    await ann.seesMembers("Ann (you)", "Bob");
    await bob.seesMembers("Ann", "Bob (you)");
    await ann.say("Hello Bob");
    await bob.sees("Hello Bob");
    await bob.say("Hello Ann");
    await ann.sees("Hello Ann");
    const body = { room_id: "general", from: "Curl", message: "Hello all" };
    assert.equal((await system.send("POST", "/chat/send", { body })).status, 200);
    await ann.sees("Hello all");
    await bob.sees("Hello all");
    const said = ["Hello Bob", "Hello Ann", "Hello all"];
    const eve = await visitor();
    await eve.enter("Eve", "general");
    await eve.sees("Hello all");
    for (const each of [ann, bob, eve]) assert.deepEqual(await each.texts(), said);
    await ann.page.getByRole("button", { name: "What the backend remembers" }).click();
    await ann.page.locator("#entries").getByText("Eve has joined").waitFor();
    const entries = await ann.page.locator("#entries li").allTextContents();
    assert.deepEqual(
      entries.map(entry => entry.replace(/^.*?\d\d:\d\d:\d\d(?:\s[AP]M)?/u, "")),
      [
        "Ann has joined",
        "Bob has joined",
        "Ann: Hello Bob",
        "Bob: Hello Ann",
        "Curl: Hello all",
        "Eve has joined",
      ],
    );
    await ann.page.getByRole("button", { name: "Close" }).click();
    await bob.page.getByRole("button", { name: "Leave the room" }).click();
    await ann.sees("Bob has left");
    await ann.seesMembers("Ann (you)", "Eve");
    for (const each of [ann, bob, eve]) assert.deepEqual(each.errors, []);
  });

  it("people on the chat page of the demo talk with each other over different transports", async () => {
    const ann = await visitor();
    const bob = await visitor();
    await ann.enter("Ann", "general");
    await ann.sees("Connected by WebSocket");
    await bob.enter("Bob", "general", "Server-sent events");
    await bob.sees("Connected by server-sent events");
    const eve = await visitor();
    await eve.enter("Eve", "general", "Polling");
    await eve.sees("Connected by polling");
    await ann.seesMembers("Ann (you)", "Bob", "Eve");
    const all = [ann, bob, eve];
    const texts = ["from Ann", "from Bob", "from Eve"];
    for (const [index, each] of all.entries()) {
      await each.say(texts[index] ?? "");
      for (const other of all) await other.sees(texts[index] ?? "");
    }
    for (const each of all) {
      assert.deepEqual(await each.texts(), texts);
      assert.deepEqual(each.errors, []);
    }
  });

  it("the chat page of the demo shows HTML in names and messages as text", async () => {
    const ann = await visitor();
    const bob = await visitor();
    const image = '<img src="x" onerror="document.title = \'broken into\'">';
    const script = "</li><script>document.title = 'broken into'</script>";
    await ann.enter("Ann", "<b>general</b>");
    await ann.seesMembers("Ann (you)");
    await bob.enter("<b>Bob</b>", "<b>general</b>");
    await ann.seesMembers("<b>Bob</b>", "Ann (you)");
    await bob.say(image);
    await bob.say(script);
    await ann.sees(script);
    assert.deepEqual(await ann.texts(), [image, script]);
    for (const { page, errors } of [ann, bob]) {
      assert.equal(await page.locator("main :is(b, img, script)").count(), 0);
      assert.equal(await page.title(), "Chat · Protogate");
      assert.deepEqual(errors, []);
    }
  });

  it("the chat page of the demo does not let text become markup, whoever tries", async () => {
    const ann = await visitor();
    await ann.enter("Ann", "general");
    await ann.seesMembers("Ann (you)");
    const tried = await ann.page.locator("#messages").evaluate(messages => {
      try {
        messages.innerHTML = "<b>bold</b>";
        return "done";
      } catch (error) {
        return (error as Error).name;
      }
    });
    assert.equal(tried, "TypeError");
  });

  it("recovers what was missed while the line was cut, once and in order", async () => {
    const ann = await visitor();
    const bob = await visitor();
    await ann.enter("Ann", "general");
    await bob.enter("Bob", "general");
    await ann.seesMembers("Ann (you)", "Bob");
    await bob.say("before");
    await ann.sees("before");
    bob.line.cut();
    await bob.sees("Connection lost");
    await ann.seesMembers("Ann (you)");
    const missed = ["one", "two", "three"];
    for (const text of missed) await ann.say(text);
    await ann.sees("three");
    bob.line.restore();
    await bob.reconnect();
    await bob.sees("Connected again; 3 messages were missed meanwhile");
    await bob.say("after");
    await ann.sees("after");
    await bob.sees("after");
    for (const each of [ann, bob]) assert.deepEqual(await each.texts(), ["before", ...missed, "after"]);
    await ann.seesMembers("Ann (you)", "Bob");
  });

  it("the chat page of the demo reconnects by itself, and sends once what could not be sent", async () => {
    const ann = await visitor();
    await ann.enter("Ann", "general");
    await ann.seesMembers("Ann (you)");
    await ann.say("first");
    await ann.sees("first");
    ann.line.hold();
    await ann.say("words");
    ann.line.cut();
    await ann.sees("Connection lost");
    ann.line.restore();
    await ann.sees("Connected again; nothing was missed");
    await ann.sees("words");
    assert.deepEqual(await ann.texts(), ["first", "words"]);
  });

  it("the chat page of the demo says what is lost when the gateway has restarted", async () => {
    const ann = await visitor();
    const bob = await visitor();
    await ann.enter("Ann", "general");
    await bob.enter("Bob", "general");
    await ann.seesMembers("Ann (you)", "Bob");
    await ann.say("old");
    await bob.sees("old");
    await system.close();
    for (const { page } of [ann, bob]) await page.getByText(/^Connection lost, next try in \d+ s$/).waitFor();
    system = await startSystem(config, { endpoints: chatPage() });
    ann.line.restore(system.httpPort);
    await ann.reconnect();
    await ann.sees("The room has a new history");
    await ann.say("meanwhile");
    await ann.sees("meanwhile");
    bob.line.restore(system.httpPort);
    await bob.reconnect();
    await bob.sees("The room has a new history");
    await bob.sees("meanwhile");
    await ann.seesMembers("Ann (you)", "Bob");
    await bob.say("new");
    await ann.sees("new");
    for (const each of [ann, bob]) assert.deepEqual(await each.texts(), ["old", "meanwhile", "new"]);
  });

  it("the chat page of the demo says why a user is not admitted", async () => {
    const ann = await visitor();
    await ann.enter("Protogate", "general");
    await ann.sees('the name "Protogate" is taken');
    await ann.enter("Ann", "general");
    await ann.seesMembers("Ann (you)");
  });
});
