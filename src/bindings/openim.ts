import type { ResponsePlan } from "../codec/response.js";
import type { MessageType } from "../descriptors/model.js";
import { openimSuccess } from "../status/openim.js";

/** Metadata that the profile `openim` writes itself; headers of these names never pass from a client. */
export const openimNames: ReadonlySet<string> = new Set([
  "operationid",
  "opuserid",
  "opusertype",
  "platform",
  "connid",
  "customheader",
]);

/** Puts replies into OpenIM's envelope. Raw bodies (`google.api.HttpBody`) stay as they are. */
export function openimResponse(plan: ResponsePlan, output: MessageType): ResponsePlan {
  if (output.fields.length === 0) {
    const bare = { contentType: "application/json", body: openimSuccess(undefined) };
    return { empty: false, decode: () => bare };
  }
  return {
    empty: false,
    decode: message => {
      const { contentType, body } = plan.decode(message);
      return { contentType, body: typeof body === "string" ? openimSuccess(body) : body };
    },
  };
}
