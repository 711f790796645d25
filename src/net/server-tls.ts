/** The certificate of a listener: the PEM files and what is in them. */
export interface ServerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}
