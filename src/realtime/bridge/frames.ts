import type { Failure } from "../../status/failure.js";
import type { FrameId } from "../chat/frames.js";

/** The frames that answer a call. `body` is JSON text. */

export function replyFrame(id: FrameId, body: string): string {
  return `{"type":"reply","id":${JSON.stringify(id)},"body":${body}}`;
}

export function eventFrame(id: FrameId, body: string): string {
  return `{"type":"event","id":${JSON.stringify(id)},"body":${body}}`;
}

export function endFrame(id: FrameId): string {
  return `{"type":"end","id":${JSON.stringify(id)}}`;
}

/** @param details each detail of the failure as the JSON text of an Any */
export function errorFrame(id: FrameId, failure: Failure, details: readonly string[]): string {
  const { code, reason, message, retryAfter } = failure;
  const wait = retryAfter === undefined ? "" : `,"retry_after":${retryAfter}`;
  const more = details.length === 0 ? "" : `,"details":[${details.join(",")}]`;
  return `{"type":"error","id":${JSON.stringify(id)},"code":${code},"reason":${JSON.stringify(reason)},"message":${JSON.stringify(message)}${wait}${more}}`;
}
