import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf, { type Root } from "protobufjs";

/** The folders of the demo's protos, the same from `src` and from `dist`. Imports resolve in the folder of a file. */
const folder = fileURLToPath(new URL("../../protos/demo/", import.meta.url));
const openimFolder = fileURLToPath(new URL("../../protos/openim/", import.meta.url));

const files: readonly string[] = [
  "messaging/resource/v1/message_service.proto",
  "messaging/query/v1/message_service.proto",
  "messaging/update/v1/message_service.proto",
  "messaging/replace/v1/message_service.proto",
  "api/product/app/v1/blog.proto",
  "killrchat/v1/user_service.proto",
  "killrchat/v1/session_service.proto",
  "killrchat/v1/room_service.proto",
  "killrchat/v1/message_service.proto",
  "chat/v1/rooms.proto",
].map(file => join(folder, file));

const openimFiles: readonly string[] = ["chat/chat.proto", "admin/admin.proto"].map(file =>
  join(openimFolder, file),
);

/** Options that are the gateway's affair: routes and rules of messages. The backend speaks gRPC and leaves them unread. */
const optionFiles = /api\/annotations\.proto$|^buf\/validate\//;

/**
 * Parses the demo's protos.
 *
 * @throws Error when a file is missing or not valid
 */
export async function loadProtos(): Promise<Root> {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => {
    if (optionFiles.test(target)) return null;
    if (isAbsolute(target)) return target;
    return join(origin.startsWith(openimFolder) ? openimFolder : folder, target);
  };
  return root.load([...files, ...openimFiles]);
}
