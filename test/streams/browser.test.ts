import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import type { TestGateway } from "../gateway/harness.js";
import { startTicks, startTicksGateway, type TicksBackend } from "./ticks.js";

const chromium = chromiumPath();

/** The script that a page of the documentation shows. */
function exampleOf(name: string): string {
  const text = readFileSync(resolve(import.meta.dirname, `../../docs/reference/${name}.md`), "utf8");
  const [, script] = /```html\n<script>\n([\s\S]*?)<\/script>\n```/.exec(text) ?? [];
  assert.ok(script !== undefined, name);
  return script;
}

describe("streams in Chromium", { skip: chromium === undefined && "Chromium is not installed" }, () => {
  let backend: TicksBackend;
  let gateway: TestGateway;
  let browser: Browser;
  let page: Page;
  const lines: string[] = [];
  const waiting = new Set<() => void>();

  before(async () => {
    backend = await startTicks();
    gateway = await startTicksGateway(
      backend.port,
      "methods: { Watch: { sse: { id: seq, last_event_id: since, retry: 200ms } } }",
    );
    browser = await startBrowser(chromium as string);
    page = await browser.newPage();
    page.on("console", message => {
      lines.push(message.text());
      for (const look of waiting) look();
    });
    await page.goto(`${gateway.url}/v1/rooms/a/ticks`);
  });
  after(async () => {
    await browser.close();
    await gateway.close();
    await backend.close();
  });

  function printed(expected: string): Promise<void> {
    return new Promise(done => {
      const look = (): void => {
        if (!lines.includes(expected)) return;
        waiting.delete(look);
        done();
      };
      waiting.add(look);
      look();
    });
  }

  it("the example of docs/reference/streams.md prints events, and goes on behind the last one when a stream ends", async () => {
    const example = exampleOf("streams").replace(
      "/v1/users/ann/orders:watch?since=0",
      "/v1/rooms/a/ticks?count=2&since=0",
    );
    await page.evaluate(`{${example}}`);
    await printed("1 {room: a, seq: 1, text: tick 1}");
    await printed("2 {room: a, seq: 2, text: tick 2}");
    // The stream has ended, and the browser has connected again with Last-Event-ID: 2.
    await printed("3 {room: a, seq: 3, text: tick 3}");
    await page.reload();
  });

  it("fetch reads a stream line by line", async () => {
    const read = `(async () => {
      const response = await fetch("/v1/rooms/a/ticks?count=3&hang=true", { headers: { accept: "application/x-ndjson" } });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (text.split("\\n").length < 4) text += (await reader.read()).value;
      await reader.cancel();
      return text;
    })()`;
    const text = await page.evaluate<string>(read);
    assert.deepEqual(
      text
        .trim()
        .split("\n")
        .map(line => JSON.parse(line).seq),
      ["1", "2", "3"],
    );
    await backend.onCancelled();
  });

  it("the example of docs/reference/websocket-streams.md prints the messages of a call", async () => {
    const example = exampleOf("websocket-streams").replace(
      "ws://localhost:8080",
      gateway.url.replace("http", "ws"),
    );
    await page.evaluate(`{${example}}`);
    await printed("{room: 7, seq: 1, text: hello}");
  });
});
