import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import protobuf, { type Root } from "protobufjs";
import { blogService, writeFirstArticles } from "./blog/blog-service.js";
import { BlogState } from "./blog/blog-state.js";
import { chatRoomService, RoomHistory } from "./chat/room-service.js";
import { healthService } from "./health-service.js";
import { AccountStore, userService } from "./killrchat/accounts.js";
import { messageService, roomService } from "./killrchat/room-services.js";
import { RoomStore } from "./killrchat/room-store.js";
import { SessionStore, sessionService } from "./killrchat/sessions.js";
import {
  MessageStore,
  queryMessageService,
  replaceMessageService,
  resourceMessageService,
  trpcMessageService,
  updateMessageService,
} from "./messaging/message-services.js";
import { adminService, chatService } from "./openim/services.js";
import { UserStore } from "./openim/user-store.js";
import { bindService, type DemoService } from "./service.js";
import { bindTrpc } from "./trpc/bind.js";
import { startTrpcServer } from "./trpc/server.js";

/** A running backend. */
export interface DemoBackend {
  /** `127.0.0.1:50051` */
  readonly address: string;
  readonly port: number;
  /** Of the tRPC server that has the messaging services, too. */
  readonly trpcPort: number;
  /** Refuses new calls, lets those under way finish for a second, then drops the rest. */
  close(): Promise<void>;
}

const closeGraceMs = 1000;

/**
 * Starts a gRPC server on 127.0.0.1 with the messaging, blog, KillrChat, chat and OpenIM Chat services, the health protocol and
 * state in memory that is lost when it closes.
 *
 * The messaging services are served by tRPC, too, on a port of its own.
 *
 * @param options.port 0 to 65535; 0, the default, takes any free one
 * @throws Error when the port cannot be had
 */
export async function startDemoBackend({ port = 0 }: { readonly port?: number } = {}): Promise<DemoBackend> {
  const root = await loadProtos();
  const messages = new MessageStore();
  const services = demoServices(messages);
  const server = new Server();
  for (const service of services) {
    const { definition, implementation } = bindService(root, service);
    server.addService(definition, implementation);
  }
  const health = healthService(services.map(({ name }) => name));
  server.addService(health.definition, health.implementation);
  const bound = await listen(server, `127.0.0.1:${port}`);
  const overTrpc = [...messagingServices(messages), trpcMessageService(messages)];
  const trpc = await startTrpcServer({
    methods: new Map(overTrpc.flatMap(service => bindTrpc(root, service))),
  });
  return {
    address: `127.0.0.1:${bound}`,
    port: bound,
    trpcPort: trpc.port,
    close: async () => {
      await Promise.all([close(server), trpc.close()]);
    },
  };
}

function messagingServices(messages: MessageStore): DemoService[] {
  return [
    resourceMessageService(messages),
    queryMessageService(messages),
    updateMessageService(messages),
    replaceMessageService(messages),
  ];
}

function demoServices(messages: MessageStore): DemoService[] {
  const blog = new BlogState();
  writeFirstArticles(blog);
  const accounts = new AccountStore();
  const rooms = new RoomStore();
  return [
    ...messagingServices(messages),
    blogService(blog),
    userService(accounts),
    sessionService(accounts, new SessionStore()),
    roomService(accounts, rooms),
    messageService(accounts, rooms),
    chatRoomService(new RoomHistory()),
    chatService(new UserStore()),
    adminService(),
  ];
}

function listen(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const forced = setTimeout(() => server.forceShutdown(), closeGraceMs);
    server.tryShutdown(() => {
      clearTimeout(forced);
      resolve();
    });
  });
}

/** The folders of the demo's protos, the same from `src` and from `dist`. Imports resolve in the folder of a file. */
const folder = fileURLToPath(new URL("../../protos/demo/", import.meta.url));
const openimFolder = fileURLToPath(new URL("../../protos/openim/", import.meta.url));

const files: readonly string[] = [
  "messaging/resource/v1/message_service.proto",
  "messaging/query/v1/message_service.proto",
  "messaging/update/v1/message_service.proto",
  "messaging/replace/v1/message_service.proto",
  "messaging/store/v1/message_service.proto",
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

/** Options for the gateway: routes and rules of messages. The backend serves gRPC and ignores them. */
const optionFiles = /api\/annotations\.proto$|^buf\/validate\//;

/**
 * Parses the demo's protos.
 *
 * @throws Error when a file is missing or not valid
 */
async function loadProtos(): Promise<Root> {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => {
    if (optionFiles.test(target)) return null;
    if (isAbsolute(target)) return target;
    return join(origin.startsWith(openimFolder) ? openimFolder : folder, target);
  };
  return root.load([...files, ...openimFiles]);
}
