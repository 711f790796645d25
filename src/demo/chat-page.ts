import { readFileSync } from "node:fs";
import type { LocalHandler, LocalResponse } from "../bindings/built-in-route.js";
import { statusDialect } from "../dialects/status.js";
import { contentTypeOf, pagePolicy } from "../docs-page/assets.js";

/** A page at `/demo` on which people talk in the rooms of `realtime`. */
export function chatPage(): readonly LocalHandler[] {
  return [
    // Who opens the port in a browser looks for this.
    fixed("/", { status: 302, headers: [["location", "/demo"]], body: "" }),
    file("/demo", "chat.html"),
    file("/demo/chat.js", "chat.js"),
    file("/demo/client.js", "client.js"),
    file("/demo/chat.css", "chat.css"),
  ];
}

function file(template: string, name: string): LocalHandler {
  return fixed(template, {
    status: 200,
    headers: [
      ["content-type", contentTypeOf(name)],
      ["content-security-policy", pagePolicy],
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
