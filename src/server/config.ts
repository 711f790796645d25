import type { TArray, TOptional, TSchema, TUnion } from "typebox";
import { checkPath, checkTlsFiles } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, listOf, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
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
    "Serve TLS with this certificate, or with a list of them: a client gets the one for the server name that it requests (SNI), all others the first. Without it the listener speaks plain text.";
  const list = Type.Array(certificate, { minItems: 1, maxItems: 1000, description });
  return Type.Optional(Type.Union([certificate, list], { description }));
}

const tlsDescription = "A certificate and its key.";
/** `tls` of a listener. */
export const listenerTls = oneOrSeveral(mapping({ ...certificate, ...oldestVersion }, tlsDescription));

/** The certificates by which clients are authenticated. */
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
            "With `client_ca`: `request` a certificate and let the routes decide (the default), or `require` a valid one and end other connections.",
        }),
      ),
    },
    tlsDescription,
  ),
);

const engines = {
  address: text("address", { description: `Where the REST API listens: ${addressForms}` }),
  engine: choice(["fastify", "uws"], {
    description:
      "The HTTP server. `uws` (uWebSockets.js) needs less CPU; it is a native addon for Node.js up to 22 on glibc Linux, macOS and Windows.",
    default: "fastify",
  }),
  http2: Type.Optional(
    Type.Boolean({
      description:
        "Speak HTTP/2 beside HTTP/1.1 on the same port: by ALPN over TLS, by prior knowledge in plain text. Left out: on with the engine fastify. An error with uws.",
    }),
  ),
  tls: clientTls,
  proxy_protocol: Type.Optional(
    Type.Union(
      [
        Type.Boolean({ description: "Whether every connection begins with the header." }),
        Type.Array(text("network", { description: "An address or a network, such as `10.0.0.0/8`." }), {
          minItems: 1,
          maxItems: 1000,
          description: "The peers whose connections begin with it; those of others do not.",
        }),
      ],
      {
        description:
          "Connections begin with a header of the PROXY protocol, version 1 or 2, with the address of the client: `true` for all of them, or the addresses and networks of proxies. Needs the engine fastify.",
      },
    ),
  ),
  hosts: Type.Optional(
    listOf(
      text("hostPattern", { description: "`api.example.com`, or `*.example.com` for all names below." }),
      {
        description:
          "The hosts that this listener serves, of those that the configuration serves; requests for others get 421. Left out, all.",
      },
    ),
  ),
  redirect_to_https: Type.Optional(
    Type.Union(
      [
        Type.Boolean({ description: "Whether to redirect, to port 443." }),
        mapping(
          {
            port: Type.Integer({
              minimum: 1,
              maximum: 65535,
              description: "The port that clients find in the redirect. From 1 to 65535.",
            }),
          },
          "Where HTTPS is served.",
        ),
      ],
      {
        description:
          "Respond to every request with a redirect (308) to the same host, path and query by HTTPS, and serve nothing else here. `true` stands for port 443.",
      },
    ),
  ),
};

const nameDescription =
  "Its name in `http.docs.listeners`, in metrics and in the log: letters, digits, `-` and `_`.";

const HttpListenerSchema = mapping(engines, "The listener of the REST API.");
const NamedListenerSchema = mapping(
  { name: text("listenerName", { description: nameDescription }), ...engines },
  "One of the listeners of the REST API.",
);

/** `listeners.http`. */
export const HttpListenersSchema = Type.Union(
  [
    HttpListenerSchema,
    Type.Array(NamedListenerSchema, { minItems: 1, maxItems: 16, description: "Listeners of the REST API." }),
  ],
  { description: "The listener of the REST API, or a list of them, each with a name." },
);

export type HttpListenersConfig = Loaded<typeof HttpListenersSchema>;
export type HttpListenerConfig = Loaded<typeof HttpListenerSchema>;

/** A listener of the REST API, and where the configuration has it. */
export interface NamedListener<T> {
  /** `http` where there is one without a name. */
  readonly name: string;
  readonly at: Path;
  readonly listener: T;
}

/** The listeners of the REST API, in their order. Of a draft those that could be read. */
export function httpListenersOf(http: HttpListenersConfig): readonly NamedListener<HttpListenerConfig>[];
export function httpListenersOf(http: HttpListenersDraft): readonly NamedListener<HttpListenerDraft>[];
export function httpListenersOf(http: HttpListenersDraft): readonly NamedListener<HttpListenerDraft>[] {
  if (http === undefined) return [];
  const at = ["listeners", "http"];
  if (!Array.isArray(http)) return [{ name: "http", at, listener: http as HttpListenerDraft }];
  return (http as (HttpListenerDraft & { name?: string })[]).flatMap((listener, index) =>
    listener === undefined ? [] : [{ name: listener.name ?? `${index}`, at: [...at, index], listener }],
  );
}

export type HttpListenersDraft = DraftOf<HttpListenersConfig> | undefined;
type HttpListenerDraft = DraftOf<HttpListenerConfig>;

/** `tls` of a listener as a list; empty without. */
export function certificatesOf<T>(tls: T | undefined): readonly ItemOf<NonNullable<T>>[] {
  if (tls === undefined || tls === null) return [];
  return (Array.isArray(tls) ? tls : [tls]) as ItemOf<NonNullable<T>>[];
}

type ItemOf<T> = T extends readonly (infer Item)[] ? Item : T;
type TlsDraft = DraftOf<NonNullable<Loaded<typeof listenerTls>>>;

/** @param engine the engine of the listener, where that is known */
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

/** Names that other listeners have, or that mean all of them. */
const reservedNames = ["http", "realtime", "admin"];

export function checkHttpListeners(http: HttpListenersDraft, findings: Findings): void {
  const first = new Map<string, number>();
  if (Array.isArray(http))
    (http as ({ readonly name?: string } | undefined)[]).forEach((listener, index) => {
      const name = listener?.name;
      if (name === undefined) return;
      const at = ["listeners", "http", index, "name"];
      const earlier = first.get(name);
      if (reservedNames.includes(name))
        findings.error(at, `"${name}" has a meaning of its own here; expected another name`);
      else if (earlier !== undefined)
        findings.error(at, `listeners.http[${earlier}] has that name already; expected another`);
      first.set(name, earlier ?? index);
    });
  const all = httpListenersOf(http);
  for (const { at, listener } of all) checkHttpListener(at, listener, findings);
  if (all.length > 0 && all.every(({ listener }) => redirects(listener)))
    findings.error(
      [...(all[0] as (typeof all)[0]).at, "redirect_to_https"],
      "every HTTP listener redirects, and none serves the API; expected a list with a listener that has tls",
    );
}

/** Whether a listener serves nothing but redirects to HTTPS. */
export function redirects({ redirect_to_https: redirect }: HttpListenerDraft): boolean {
  return redirect !== undefined && redirect !== false;
}

function checkHttpListener(path: Path, listener: HttpListenerDraft, findings: Findings): void {
  const { tls, engine, http2 } = listener;
  if (http2 === true && engine === "uws") {
    const message = "HTTP/2 needs the engine fastify; uws speaks HTTP/1.1 alone";
    findings.error([...path, "http2"], message);
  }
  if (listener.proxy_protocol !== undefined && listener.proxy_protocol !== false && engine === "uws")
    findings.error(
      [...path, "proxy_protocol"],
      "the PROXY protocol needs the engine fastify; uws takes the address from any peer that sends a second header, and reads none before TLS",
    );
  if (redirects(listener) && tls !== undefined)
    findings.error(
      [...path, "redirect_to_https"],
      "a listener with tls serves HTTPS itself; expected it on one without tls",
    );
  const all = [...path, "tls"];
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
