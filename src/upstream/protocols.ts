import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import type { ChannelOptions, grpcTransports } from "./options.js";
import { checkTrpc, type TrpcConfig, trpcOptions } from "./trpc/config.js";

/** Sections of an upstream that only some protocols have. */
interface ProtocolSections {
  readonly transport: (typeof grpcTransports)[number];
  readonly health?: unknown;
  readonly trpc?: TrpcConfig;
}

/** A protocol of RPC backends: its features, and the sections that an upstream of it may have. */
interface RpcProtocolType {
  /** Whether the gateway carries streams over it; unary calls it does in any case. */
  readonly streams: boolean;
  /** Whether the codes of backends are gRPC's, and those above them. */
  readonly grpcCodes: boolean;
  /** Whether gRPC calls can pass to it as they are. */
  readonly passesGrpc: boolean;
  /** Sections of an upstream that only this protocol has. */
  readonly sections: readonly (keyof ProtocolSections)[];
  check?(at: Path, upstream: DraftOf<ProtocolSections>, findings: Findings): void;
  /** The options of a channel that the protocol adds. */
  options(upstream: ProtocolSections): Pick<ChannelOptions, "transport" | "trpc">;
}

/** The protocols of RPC backends, as `protocol` of an upstream names them. */
export const rpcProtocols = {
  grpc: {
    streams: true,
    grpcCodes: true,
    passesGrpc: true,
    sections: [],
    options: ({ transport }) => ({ transport }),
  },
  trpc: {
    streams: false,
    grpcCodes: false,
    passesGrpc: false,
    sections: ["trpc"],
    check: checkTrpc,
    options: ({ trpc }) => ({ transport: "trpc", ...(trpc !== undefined && { trpc: trpcOptions(trpc) }) }),
  },
} as const satisfies Readonly<Record<string, RpcProtocolType>>;

export type RpcProtocol = keyof typeof rpcProtocols;

/** Undefined where it is no protocol of RPC backends. */
export function rpcProtocol(name: string | undefined): RpcProtocolType | undefined {
  return name !== undefined && Object.hasOwn(rpcProtocols, name)
    ? rpcProtocols[name as RpcProtocol]
    : undefined;
}

/** Checks the sections of an upstream that only some protocols have. */
export function checkProtocol(
  at: Path,
  upstream: DraftOf<ProtocolSections & { readonly protocol: string }>,
  findings: Findings,
): void {
  for (const [name, { sections }] of Object.entries(rpcProtocols))
    for (const section of name === upstream.protocol ? [] : sections)
      if (upstream[section] !== undefined)
        findings.error([...at, section], `only an upstream with protocol ${name} has this section`);
  rpcProtocol(upstream.protocol)?.check?.(at, upstream, findings);
}
