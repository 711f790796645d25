export { type CallOptions, Client, type ClientEvents, type ClientOptions, type Signal } from "./client.js";
export {
  type FeedState,
  type Json,
  type Message,
  type Position,
  type Presence,
  RealtimeError,
  type ServerFrame,
} from "./frames.js";
export type { State, TokenSource } from "./link.js";
export type { JsonMessage, SendOptions, Sent } from "./outbox.js";
export type { Loss, Room, RoomEvents, RoomOptions } from "./room.js";
export {
  type Carrier,
  type Transport,
  type TransportEvents,
  type TransportRequest,
  type WebSocketConstructor,
  type WebSocketLike,
  webSocketTransport,
} from "./transport.js";
