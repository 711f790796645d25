import { createSecureContext } from "node:tls";

/** The certificate of a listener: the PEM files and what is in them. */
export interface ServerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Absent: clients are not asked for certificates. */
  readonly client?: ClientAuthorities;
}

/** Whose client certificates are accepted. */
export interface ClientAuthorities {
  /** PEM. */
  readonly ca: Buffer;
  /** True ends connections without a good certificate. */
  readonly required: boolean;
}

/** @throws Error that names the files where the certificate cannot be used */
export function requireUsable({ cert, key, certFile, keyFile }: ServerTls): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw unusable(certFile, keyFile, error);
  }
}

export function unusable(certFile: string, keyFile: string, cause: unknown): Error {
  return new Error(`the certificate ${certFile} cannot be used with the key ${keyFile}`, { cause });
}
