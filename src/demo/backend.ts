import { Server, ServerCredentials } from "@grpc/grpc-js";
import { blogService, writeFirstArticles } from "./blog/blog-service.js";
import { BlogState } from "./blog/blog-state.js";
import { RoomHistory } from "./chat/room-history.js";
import { chatRoomService } from "./chat/room-service.js";
import { healthService } from "./health-service.js";
import { AccountStore } from "./killrchat/account-store.js";
import { messageService } from "./killrchat/message-service.js";
import { roomService } from "./killrchat/room-service.js";
import { RoomStore } from "./killrchat/room-store.js";
import { sessionService } from "./killrchat/session-service.js";
import { SessionStore } from "./killrchat/session-store.js";
import { userService } from "./killrchat/user-service.js";
import {
  queryMessageService,
  replaceMessageService,
  resourceMessageService,
  updateMessageService,
} from "./messaging/message-services.js";
import { MessageStore } from "./messaging/message-store.js";
import { adminService } from "./openim/admin-service.js";
import { chatService } from "./openim/chat-service.js";
import { UserStore } from "./openim/user-store.js";
import { loadProtos } from "./protos.js";
import { bindService, type DemoService } from "./service.js";

/** A running backend. */
export interface DemoBackend {
  /** `127.0.0.1:50051` */
  readonly address: string;
  readonly port: number;
  /** Refuses new calls, lets those under way finish for a second, then drops what is left. */
  close(): Promise<void>;
}

const CLOSE_GRACE = 1000;

/**
 * Starts a gRPC server on 127.0.0.1 with the messaging, blog, KillrChat, chat and OpenIM Chat services, the health protocol and
 * state in memory that is lost when it closes.
 *
 * @param options.port 0 to 65535; 0, the default, takes any free one
 * @throws Error when the port cannot be had
 */
export async function startDemoBackend({ port = 0 }: { readonly port?: number } = {}): Promise<DemoBackend> {
  const root = await loadProtos();
  const services = demoServices();
  const server = new Server();
  for (const service of services) {
    const { definition, implementation } = bindService(root, service);
    server.addService(definition, implementation);
  }
  const health = healthService(services.map(({ name }) => name));
  server.addService(health.definition, health.implementation);
  const bound = await listen(server, `127.0.0.1:${port}`);
  return { address: `127.0.0.1:${bound}`, port: bound, close: () => close(server) };
}

function demoServices(): DemoService[] {
  const messages = new MessageStore();
  const blog = new BlogState();
  writeFirstArticles(blog);
  const accounts = new AccountStore();
  const rooms = new RoomStore();
  return [
    resourceMessageService(messages),
    queryMessageService(messages),
    updateMessageService(messages),
    replaceMessageService(messages),
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
    const forced = setTimeout(() => server.forceShutdown(), CLOSE_GRACE);
    server.tryShutdown(() => {
      clearTimeout(forced);
      resolve();
    });
  });
}
