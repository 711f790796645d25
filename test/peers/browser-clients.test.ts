import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { chromiumPath, startBrowser } from "../demo/page/browser.js";
import { type EngineName, uwsSkipped } from "../engine.js";
import { type KindsBackend, startKinds } from "./clients/backend.js";
import type { KindsCall, KindsOutcome } from "./clients/call.js";
import { itCallsInEveryWay } from "./clients/cases.js";
import { type KindsGateway, startKindsGateway } from "./clients/gateway.js";
import type { WebClientName } from "./clients/page.js";

const chromium = chromiumPath();
const uws = await uwsSkipped();
const authority = withoutOpenssl === false ? new Authority("pages") : undefined;

const clients: readonly WebClientName[] = [
  "connect-web, Connect in JSON,",
  "connect-web, Connect in protobuf by GET,",
  "connect-web, gRPC-Web,",
  "grpc-web in binary",
  "grpc-web in text",
];
/** Where the way in which the bytes come makes the difference. */
const shortened: readonly WebClientName[] = ["connect-web, Connect in JSON,", "grpc-web in text"];
const places: [where: string, engine: EngineName, secure: boolean, skip: string | false][] = [
  ["over HTTP/1.1", "fastify", false, false],
  ["over HTTP/2 and TLS", "fastify", true, withoutOpenssl],
  ["on uws", "uws", false, uws],
];

describe("pages of another origin in Chromium", {
  skip: chromium === undefined && "Chromium is not installed",
}, () => {
  let backend: KindsBackend;
  let site: Server;
  let origin: string;
  let browser: Browser;
  let page: Page;

  before(async () => {
    backend = await startKinds();
    site = createServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>another origin</title>");
    }).listen(0, "127.0.0.1");
    await once(site, "listening");
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, "clients/page.ts")],
      bundle: true,
      format: "iife",
      write: false,
      logLevel: "warning",
    });
    browser = await startBrowser(chromium as string);
    page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(origin);
    await page.evaluate(outputFiles[0]?.text ?? "");
    await page.evaluate(`load(${JSON.stringify(Buffer.from(backend.descriptors).toString("base64"))})`);
  });
  after(async () => {
    await browser.close();
    site.close();
    backend.close();
  });

  for (const [where, engine, secure, skip] of places) {
    describe(where, { skip }, () => {
      let gateway: KindsGateway;
      before(async () => {
        const tls = secure ? authority?.issue("gateway", "/CN=gateway", "IP.1=127.0.0.1") : undefined;
        gateway = await startKindsGateway(backend, engine, { origins: [origin], ...(tls && { tls }) });
      });
      after(() => gateway.close());

      for (const name of where === "over HTTP/1.1" ? clients : shortened) {
        const call = async (each: KindsCall): Promise<KindsOutcome> => {
          const baseUrl = `${secure ? "https" : "http"}://127.0.0.1:${gateway.port}`;
          if (each.cancelAfter === 0) void backend.hanging().then(() => page.evaluate("begun()"));
          const args = [name, baseUrl, each].map(arg => JSON.stringify(arg)).join(", ");
          return page.evaluate<KindsOutcome>(`call(${args})`);
        };
        itCallsInEveryWay(
          `${name} ${where}`,
          // In browsers these clients call methods that take one request; grpc-web reads streams in text alone.
          name === "grpc-web in binary" ? ["Unary"] : ["Unary", "Server"],
          () => backend,
          () => ({ call, close: () => undefined }),
        );
      }
    });
  }
});
