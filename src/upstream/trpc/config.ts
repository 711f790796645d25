import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import { type DraftOf, type Loaded, listOf, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** `upstreams.<name>.trpc`. */
export const TrpcSchema = mapping(
  {
    caller: Type.Optional(
      text("nonempty", {
        description:
          "The name of the gateway in requests, `trpc.protogate.gateway.http` where it is left out.",
      }),
    ),
    callee: Type.Optional(
      text("nonempty", {
        description: "The name of the service in requests, that of the RPC service where it is left out.",
      }),
    ),
    one_way: listOf(text("nonempty", { description: "A method, `package.Service/Method`." }), {
      description: "Methods that are called without waiting for a response; callers get an empty message.",
      default: [],
    }),
  },
  "Settings of tRPC: the names in request headers, and one-way methods.",
);

export type TrpcConfig = Loaded<typeof TrpcSchema>;

/** Settings of calls to tRPC servers beside the message. */
export interface TrpcOptions {
  /** The name of the gateway. */
  readonly caller?: string;
  /** The name of the called service, instead of that of the RPC service. */
  readonly callee?: string;
  /** Paths of methods (`/package.Service/Method`) that are called without waiting for a response. */
  readonly oneWay?: readonly string[];
}

/** Sections of an upstream that have no meaning in tRPC. */
interface UpstreamSections {
  readonly transport?: string | undefined;
  readonly health?: unknown;
  readonly trpc?: DraftOf<TrpcConfig> | undefined;
}

const methodName = /^[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;

export function checkTrpc(at: Path, { transport, health, trpc }: UpstreamSections, findings: Findings): void {
  if (transport !== undefined && transport !== "lean")
    findings.error([...at, "transport"], `${transport} speaks gRPC only; leave transport out`);
  if (health !== undefined)
    findings.error([...at, "health"], "tRPC has no health protocol; leave health out");
  for (const [index, name] of (trpc?.one_way ?? []).entries()) {
    if (name === undefined || methodName.test(name)) continue;
    const path = [...at, "trpc", "one_way", index];
    findings.error(path, `expected a method such as shop.v1.Items/Get, found ${findings.show(path, name)}`);
  }
}

export function trpcOptions({ caller, callee, one_way: oneWay }: TrpcConfig): TrpcOptions {
  return {
    ...(caller === undefined ? {} : { caller }),
    ...(callee === undefined ? {} : { callee }),
    oneWay: oneWay.map(name => `/${name}`),
  };
}
