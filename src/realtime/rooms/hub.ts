import type { Member, Message, Position, Published, Replay } from "../brokers/broker.js";

/** What servers may do with rooms and sockets, whichever node they ask. */
export interface Hub {
  /**
   * Publishes a message as a member would, without being one.
   * @throws GatewayError (or rejects with it) where the room, `from` or the message are not acceptable
   */
  publish(post: Post): Published | Promise<Published>;
  /** Publishes to several rooms, in order. */
  broadcast(rooms: readonly string[], post: Omit<Post, "room">): Promise<readonly Published[]>;
  /** Rooms that have members here or hold messages, by name. */
  rooms(): readonly RoomSummary[] | Promise<readonly RoomSummary[]>;
  /** Names of the rooms that hold messages. */
  roomNames(): readonly string[] | Promise<readonly string[]>;
  /** On all nodes. */
  members(room: string): readonly Member[] | Promise<readonly Member[]>;
  /** The latest messages, oldest first. @param limit at most; left out, all that are kept */
  history(room: string, limit?: number): readonly Message[] | Promise<readonly Message[]>;
  /** The messages behind a position. */
  since(room: string, position: Position, limit?: number): Replay | Promise<Replay>;
  /**
   * Closes the sockets of a subject or of one session, on all nodes.
   * @returns how many were closed on this one
   * @throws GatewayError INVALID_VALUE where the reason is too long
   */
  disconnect(who: Disconnection): number;
  /** Whether messages can be published now. */
  readonly ready: boolean;
}

export interface Post {
  readonly room: string;
  readonly from: string;
  readonly message: string;
  /** Idempotency key: 1 to 128 visible characters. Remembered per room while its message is kept. */
  readonly id?: string | undefined;
}

export interface RoomSummary {
  readonly room: string;
  /** On this node. */
  readonly members: number;
  /** True where the room holds messages. */
  readonly held: boolean;
}

export type Disconnection = ({ readonly subject: string } | { readonly session: string }) & {
  /** What the client is told, at most 123 bytes. */
  readonly reason: string;
};
