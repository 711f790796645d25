import { readFileSync } from "node:fs";
import type { LocalHandler, LocalResponse } from "../bindings/built-in-route.js";
import { statusDialect } from "../dialects/status.js";

/** Only what the page brings itself, only from its own host, and never text as markup. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const html = "text/html; charset=utf-8";
const javascript = "text/javascript; charset=utf-8";
const css = "text/css; charset=utf-8";

/** A page at `/demo` on which people talk in the rooms of `realtime`. */
export function chatPage(): readonly LocalHandler[] {
  return [
    // Who opens the port in a browser looks for this.
    fixed("/", { status: 302, headers: [["location", "/demo"]], body: "" }),
    file("/demo", "chat.html", html),
    file("/demo/chat.js", "chat.js", javascript),
    file("/demo/room-client.js", "room-client.js", javascript),
    file("/demo/chat.css", "chat.css", css),
  ];
}

function file(template: string, name: string, contentType: string): LocalHandler {
  return fixed(template, {
    status: 200,
    headers: [
      ["content-type", contentType],
      ["content-security-policy", policy],
      ["referrer-policy", "no-referrer"],
      ["cache-control", "no-cache"],
    ],
    body: readFileSync(new URL(`./page/${name}`, import.meta.url)),
  });
}

function fixed(template: string, answer: LocalResponse): LocalHandler {
  return {
    method: "GET",
    template,
    at: [],
    service: "demo",
    auth: "none",
    rateLimit: undefined,
    dialect: statusDialect,
    bodyLimit: undefined,
    handle: () => answer,
  };
}
