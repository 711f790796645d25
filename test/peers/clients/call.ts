/** Names of the methods of peer.v1.KindsService are their kinds. */
export type KindsMethod = "Unary" | "Server" | "Client" | "Bidi";

export interface KindsRequest {
  readonly text?: string;
  readonly count?: number;
  readonly code?: number;
  readonly hang?: boolean;
}

export interface KindsResponse {
  readonly text: string;
  readonly count: number;
}

/** One call, as all clients understand it. */
export interface KindsCall {
  readonly method: KindsMethod;
  readonly requests: readonly KindsRequest[];
  readonly timeoutMs?: number;
  /** The client cancels behind so many responses; 0: as soon as the backend has the call. */
  readonly cancelAfter?: number;
}

/** What a client has seen of a call. */
export interface KindsOutcome {
  readonly responses: readonly KindsResponse[];
  /** Of gRPC; 0 where it ended well. */
  readonly code: number;
  readonly message: string;
  /** Of the ErrorInfo among the details. */
  readonly reason?: string | undefined;
  /** Metadata `x-initial` and `x-trailing`. */
  readonly initial?: string | undefined;
  readonly trailing?: string | undefined;
}

/** A client of some maker, connected with a gateway. */
export interface KindsClient {
  call(call: KindsCall): Promise<KindsOutcome>;
  close(): void | Promise<void>;
}

/** Metadata that each call carries as `x-request-tag`, and that comes back as `x-initial`. */
export const tag = "from the client";
