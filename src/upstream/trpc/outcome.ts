import { Code } from "../../status/code.js";
import { noMetadata } from "../channel.js";
import type { StreamOutcome } from "../transport.js";

/** Codes that tRPC's framework sends as `ret` (trpc.proto, TrpcRetCode), as gRPC's; the others are INTERNAL. */
const codes: ReadonlyMap<number, number> = new Map([
  [1, Code.INVALID_ARGUMENT],
  [11, Code.UNIMPLEMENTED],
  [12, Code.UNIMPLEMENTED],
  [21, Code.DEADLINE_EXCEEDED],
  [22, Code.RESOURCE_EXHAUSTED],
  [23, Code.RESOURCE_EXHAUSTED],
  [24, Code.DEADLINE_EXCEEDED],
  [41, Code.UNAUTHENTICATED],
  [51, Code.INVALID_ARGUMENT],
  [999, Code.UNKNOWN],
]);

/** The outcome of a call that the framework in the backend ended. `ret` is not 0. */
export function frameworkOutcome(ret: number, message: string): StreamOutcome {
  return {
    status: { code: codes.get(ret) ?? Code.INTERNAL, message, origin: "framework", backendCode: ret },
    trailers: [["trpc-ret", String(ret)]],
    progress: "sent",
  };
}

/** The outcome of a call that the backend's own code ended. `funcRet` is not 0, and means nothing to gRPC. */
export function businessOutcome(funcRet: number, message: string): StreamOutcome {
  return {
    status: { code: Code.UNKNOWN, message, origin: "business", backendCode: funcRet },
    trailers: [["trpc-func-ret", String(funcRet)]],
    progress: "sent",
  };
}

export const success: StreamOutcome = {
  status: { code: Code.OK, message: "", origin: undefined },
  trailers: noMetadata,
  progress: "sent",
};
