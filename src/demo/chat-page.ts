import type { LocalHandler, LocalResponse } from "../bindings/built-in-route.js";
import { statusDialect } from "../dialects/status.js";
import { pageFiles, pagePolicy } from "../net/page-files.js";

/** A page at `/demo` on which people talk in the rooms of `realtime`. */
export function chatPage(): readonly LocalHandler[] {
  return [
    // The page for a browser that opens the port.
    fixed("/", { status: 302, headers: [["location", "/demo"]], body: "" }),
    ...pageFiles(new URL("./page/", import.meta.url)).map(({ name, contentType, bytes }) =>
      fixed(name === "chat.html" ? "/demo" : `/demo/${name}`, {
        status: 200,
        headers: [
          ["content-type", contentType],
          ["content-security-policy", pagePolicy],
          ["referrer-policy", "no-referrer"],
          ["cache-control", "no-cache"],
        ],
        body: bytes,
      }),
    ),
  ];
}

function fixed(template: string, response: LocalResponse): LocalHandler {
  return {
    method: "GET",
    template,
    at: [],
    service: "demo",
    auth: "none",
    rateLimit: undefined,
    dialect: statusDialect,
    bodyLimit: undefined,
    handle: () => response,
  };
}
