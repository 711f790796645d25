import Type from "typebox";
import { checkPath, checkTlsFiles } from "../config/check.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, mapping, text } from "../config/schema.js";
/** The forms of an address, to follow "Where … is served: ". */
export const addressForms =
  "`host:port`, `[::1]:port`, or `:port` for every IPv4 interface; port 0 takes a free one.";

const certificate = {
  cert: text("path", { description: "File of the certificate chain, PEM." }),
  key: text("keyPath", { description: "File of the private key, PEM." }),
};
const tlsDescription = "Serve TLS with this certificate. Without it the listener speaks plain text.";
/** `tls` of a listener. */
export const listenerTls = Type.Optional(mapping(certificate, tlsDescription));

/** With what clients prove who they are. */
const clientTls = Type.Optional(
  mapping(
    {
      ...certificate,
      client_ca: Type.Optional(
        text("path", {
          description:
            "File of the authorities whose client certificates are accepted, PEM. Needs the engine fastify.",
        }),
      ),
      client_auth: Type.Optional(
        choice(["request", "require"], {
          description:
            "With `client_ca`: `request` a certificate and leave it to routes what follows (so it is left out), or `require` one and end connections without a good one.",
        }),
      ),
    },
    tlsDescription,
  ),
);

/** `listeners.http`. */
export const HttpListenerSchema = mapping(
  {
    address: text("address", { description: `Where the REST API listens: ${addressForms}` }),
    engine: choice(["fastify", "uws"], {
      description:
        "The HTTP server underneath. `uws` (uWebSockets.js) costs far less CPU; it is a native addon for glibc Linux, macOS and Windows.",
      default: "fastify",
    }),
    http2: Type.Optional(
      Type.Boolean({
        description:
          "Speak HTTP/2 beside HTTP/1.1 on the same port: by ALPN over TLS, by prior knowledge in plain text. Left out it is on with the engine fastify; uws cannot.",
      }),
    ),
    tls: clientTls,
  },
  "The listener of the REST API.",
);

export type HttpListenerConfig = Loaded<typeof HttpListenerSchema>;

export function checkHttpListener(
  listener: DraftOf<HttpListenerConfig> | undefined,
  findings: Findings,
): void {
  if (listener === undefined) return;
  const { tls, engine, http2 } = listener;
  if (http2 === true && engine === "uws") {
    const message = "HTTP/2 needs the engine fastify; uws speaks HTTP/1.1 alone";
    findings.error(["listeners", "http", "http2"], message);
  }
  const at = ["listeners", "http", "tls"];
  checkTlsFiles(at, tls, findings);
  checkPath([...at, "client_ca"], tls?.client_ca, "file", findings);
  if (tls?.client_auth !== undefined && !("client_ca" in tls)) {
    const missing = '"client_auth" without "client_ca"; expected the authorities that may certify clients';
    findings.error([...at, "client_auth"], missing);
  }
  if (tls?.client_ca === undefined || engine !== "uws") return;
  findings.error(
    [...at, "client_ca"],
    "client certificates need the engine fastify; uws does not give access to the client's certificate",
  );
}
