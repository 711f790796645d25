import { createSecureContext, type SecureContext, type Server, type TlsOptions } from "node:tls";
import { isDeepStrictEqual } from "node:util";

/** A certificate of a listener and its key: the PEM files and their content. */
export interface ServerCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** The DNS names that it is for, in lower case, `*.` first where the first label may be any. */
  readonly names?: readonly string[];
}

/** The certificates of a listener; the certificate itself is for clients that request no known name. */
export interface ServerTls extends ServerCertificate {
  /** For clients that request one of their names (SNI). No name is in two of them. */
  readonly others?: readonly ServerCertificate[];
  /** Default TLS 1.2. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  /** Absent: clients need no certificates. */
  readonly client?: ClientAuthorities;
}

/** Whose client certificates are accepted. */
export interface ClientAuthorities {
  /** PEM. */
  readonly ca: string | Buffer;
  /** True ends connections without a good certificate. */
  readonly required: boolean;
}

/** A listener that can show other certificates than before. Connections that are open stay as they are. */
export interface RenewableTls {
  /** The certificates for new connections; undefined without TLS. */
  readonly shown: ShownTls | undefined;
  /**
   * Prepares other certificates, for a listener with TLS.
   * @returns shows them to connections that come from then on
   * @throws Error where it cannot be used
   */
  renew(tls: ServerTls): () => void;
}

/** @throws Error that names the files where the certificate cannot be used */
export function requireUsable({ cert, key, certFile, keyFile }: ServerCertificate): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw unusable(certFile, keyFile, error);
  }
}

export function unusable(certFile: string, keyFile: string, cause: unknown): Error {
  return new Error(`the certificate ${certFile} cannot be used with the key ${keyFile}`, { cause });
}

/** Which certificate each name gets; empty where all clients get the same. */
export function certificatesByName(
  tls: Pick<ServerTls, "others"> & Partial<ServerCertificate>,
): Map<string, ServerCertificate> {
  const { others = [] } = tls;
  if (others.length === 0) return new Map();
  return new Map(
    [tls as ServerCertificate, ...others].flatMap(each => (each.names ?? []).map(name => [name, each])),
  );
}

/** The part of it that does not name files. */
export type ShownTls = Pick<ServerTls, "others" | "minVersion" | "client"> & {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
};

/** Whether clients would notice the difference. */
export function showsSame(a: ShownTls, b: ShownTls): boolean {
  return isDeepStrictEqual(visible(a), visible(b));
}

function visible({ cert, key, others = [], minVersion = "TLSv1.2", client }: ShownTls): unknown {
  return [cert, key, minVersion, client, others.map(each => [each.cert, each.key, each.names])];
}

/** The certificates of a server of Node.js: handshakes that begin after a renewal get the new ones. */
export class NodeCertificates {
  /** For `createServer`. */
  readonly options: TlsOptions;
  #byName: ReadonlyMap<string, SecureContext>;
  #shown: ShownTls;

  constructor(tls: ShownTls) {
    const { client } = tls;
    this.#byName = contextsByName(tls);
    this.#shown = tls;
    this.options = {
      ...contextOptions(tls),
      ...(client !== undefined && { requestCert: true, rejectUnauthorized: client.required }),
      SNICallback: (name, shown) => shown(null, this.#find(name.toLowerCase())),
    };
  }

  /** @throws Error where it cannot be used */
  prepare(server: Server, tls: ShownTls): () => void {
    createSecureContext(contextOptions(tls));
    const byName = contextsByName(tls);
    return () => {
      server.setSecureContext(contextOptions(tls));
      this.#byName = byName;
      this.#shown = tls;
    };
  }

  get shown(): ShownTls {
    return this.#shown;
  }

  /** Undefined: the default certificate of the server. */
  #find(name: string): SecureContext | undefined {
    if (this.#byName.size === 0) return undefined;
    return this.#byName.get(name) ?? this.#byName.get(`*${name.slice(name.indexOf("."))}`);
  }
}

function contextsByName(tls: ShownTls): Map<string, SecureContext> {
  const made = new Map<ServerCertificate, SecureContext>();
  const byName = new Map<string, SecureContext>();
  for (const [name, certificate] of certificatesByName(tls as ServerTls)) {
    const context = made.get(certificate) ?? createSecureContext(contextOptions({ ...tls, ...certificate }));
    made.set(certificate, context);
    byName.set(name, context);
  }
  return byName;
}

function contextOptions({ cert, key, minVersion = "TLSv1.2", client }: ShownTls): TlsOptions {
  return { cert, key, minVersion, ...(client !== undefined && { ca: client.ca }) };
}
