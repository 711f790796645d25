import Type, { type TArray, type TOptional, type TSchema, type TUnion } from "typebox";
import { checkPath, checkTlsFiles } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
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
const quoted = { description: "A version of TLS." };
const oldestVersion = {
  min_version: Type.Optional(
    Type.Union([choice(["1.2", "1.3"], quoted), choice([1.2, 1.3], quoted)], {
      description:
        "The oldest version of TLS that clients may speak; without it, 1.2. `1.3` needs the engine fastify.",
    }),
  ),
};

/** One certificate or a list of them. */
function oneOrSeveral<T extends TSchema>(certificate: T): TOptional<TUnion<[T, TArray<T>]>> {
  const description =
    "Serve TLS with this certificate, or with a list of them: a client gets the one that has the name that it asks for (SNI), all others the first. Without it the listener speaks plain text.";
  const list = Type.Array(certificate, { minItems: 1, maxItems: 1000, description });
  return Type.Optional(Type.Union([certificate, list], { description }));
}

const tlsDescription = "A certificate and its key.";
/** `tls` of a listener. */
export const listenerTls = oneOrSeveral(mapping({ ...certificate, ...oldestVersion }, tlsDescription));

/** With what clients prove who they are. */
const clientTls = oneOrSeveral(
  mapping(
    {
      ...certificate,
      ...oldestVersion,
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

/** `tls` of a listener as a list; empty without. */
export function certificatesOf<T>(tls: T | undefined): readonly ItemOf<NonNullable<T>>[] {
  if (tls === undefined || tls === null) return [];
  return (Array.isArray(tls) ? tls : [tls]) as ItemOf<NonNullable<T>>[];
}

type ItemOf<T> = T extends readonly (infer Item)[] ? Item : T;
type TlsDraft = DraftOf<NonNullable<Loaded<typeof listenerTls>>>;

/** @param engine what serves the listener, where that is known */
export function checkListenerTls(
  at: Path,
  tls: TlsDraft | undefined,
  findings: Findings,
  engine?: "fastify" | "uws",
): void {
  certificatesOf(tls).forEach((certificate, index) => {
    const path = Array.isArray(tls) ? [...at, index] : at;
    checkTlsFiles(path, certificate, findings);
    if (String(certificate?.min_version) === "1.3" && engine === "uws")
      findings.error(
        [...path, "min_version"],
        'the engine uws speaks TLS 1.2, too; expected "1.2", or the engine fastify',
      );
    if (index === 0) return;
    for (const key of ["min_version", "client_ca", "client_auth"].filter(each => each in (certificate ?? {})))
      findings.error(
        [...path, key],
        `"${key}" holds for the whole listener; expected it with the first certificate`,
      );
  });
}

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
  const all = ["listeners", "http", "tls"];
  checkListenerTls(all, tls, findings, engine);
  const at = Array.isArray(tls) ? [...all, 0] : all;
  const [first] = certificatesOf(tls);
  checkPath([...at, "client_ca"], first?.client_ca, "file", findings);
  if (first?.client_auth !== undefined && !("client_ca" in first)) {
    const missing = '"client_auth" without "client_ca"; expected the authorities that may certify clients';
    findings.error([...at, "client_auth"], missing);
  }
  if (first?.client_ca === undefined || engine !== "uws") return;
  findings.error(
    [...at, "client_ca"],
    "client certificates need the engine fastify; uws does not give access to the client's certificate",
  );
}
