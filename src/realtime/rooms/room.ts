import type { Backlog } from "./backlog.js";
import type { Replay } from "../brokers/broker.js";
import type { Held } from "./room-pacer.js";
import type { Socket } from "./socket.js";

/** A room that has members on this node. */
export class Room {
  /** Each with the name that it joined by. */
  readonly members = new Map<Socket, string>();
  /** Where the room is, as far as its members here have been told. */
  epoch = "";
  seq = 0;
  /** Members that are behind, and not subscribed until they have caught up. */
  lagging = 0;
  /** What those of them are still to be sent that are not further behind than a client may be. */
  backlog: Backlog | undefined = undefined;
  /** What is being asked of the broker for members that have missed everything from `next` on. */
  reading: { readonly epoch: string; readonly next: number; readonly answer: Promise<Replay> } | undefined =
    undefined;
  /** What it says in turns of the event loop to come, in order. */
  readonly held: Held[] = [];
  heldBytes = 0;
  /** What that has cost of its share of the turn. */
  spent = 0;
  /** Bytes published since the members' buffers were last looked at. */
  unswept = 0;
  /** Sockets that wait for the broker to have subscribed. */
  joining = 0;
  /** Until the broker has subscribed. */
  opening: Promise<void> | undefined = undefined;
  /** `messageHead` of its name. */
  readonly messageHead: string;

  /** @param topic by which its members are reached, unique among the rooms of the process */
  constructor(
    readonly name: string,
    readonly topic: string,
  ) {
    this.messageHead = messageHead(name);
  }

  /** True where nobody needs the room here. */
  get unused(): boolean {
    return this.members.size === 0 && this.joining === 0;
  }
}

/** The frame of every message of a room, up to the sender's name. */
export function messageHead(room: string): string {
  return `{"type":"receive-message","room_id":${JSON.stringify(room)},"from":`;
}
