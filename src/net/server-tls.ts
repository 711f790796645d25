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
