import { randomUUID } from "node:crypto";
import { type Account, type Person, personOf } from "./accounts.js";
import { full, messageNotFound, roomExists, roomNotFound } from "./chat-error.js";

export interface StoredRoom {
  readonly roomName: string;
  readonly creator: Person;
  readonly banner: string;
  readonly creationDate: string;
  /** By login, in the order of joining. */
  readonly participants: Map<string, Account>;
  readonly log: MessageLog;
}

const maxRooms = 1000;
const maxParticipants = 1000;

/** Rooms by name, and the lobby. Keeps the rooms of accounts and the participants of rooms in step. */
export class RoomStore {
  readonly #rooms = new Map<string, StoredRoom>();
  readonly #lobby = new MessageLog();

  /** @throws RpcError ALREADY_EXISTS, `ROOM_EXISTS`; RESOURCE_EXHAUSTED when there are too many */
  create(roomName: string, creator: Account, banner: string): void {
    if (this.#rooms.has(roomName)) throw roomExists(roomName);
    if (this.#rooms.size >= maxRooms) throw full("rooms", maxRooms);
    this.#rooms.set(roomName, {
      roomName,
      creator: personOf(creator),
      banner,
      creationDate: dateText(new Date()),
      participants: new Map([[creator.profile.login, creator]]),
      log: new MessageLog(),
    });
    creator.rooms.add(roomName);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  get(roomName: string): StoredRoom {
    const room = this.#rooms.get(roomName);
    if (room === undefined) throw roomNotFound(roomName);
    return room;
  }

  /** In the order of their creation, at most `size`. */
  oldest(size: number): StoredRoom[] {
    const rooms: StoredRoom[] = [];
    for (const room of this.#rooms.values()) {
      if (rooms.length === size) break;
      rooms.push(room);
    }
    return rooms;
  }

  /** The messages of a room; of the lobby where the name is empty. */
  log(roomName: string): MessageLog {
    return roomName === "" ? this.#lobby : this.get(roomName).log;
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND`; RESOURCE_EXHAUSTED when the room is full */
  join(roomName: string, account: Account): void {
    const room = this.get(roomName);
    const person = personOf(account);
    if (room.participants.has(person.login)) return;
    if (room.participants.size >= maxParticipants) throw full("participants", maxParticipants);
    room.participants.set(person.login, account);
    account.rooms.add(roomName);
    room.log.post(person, `${person.firstname} ${person.lastname} joins the room`, true);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  leave(roomName: string, account: Account): void {
    const room = this.get(roomName);
    const person = personOf(account);
    if (!room.participants.delete(person.login)) return;
    account.rooms.delete(roomName);
    room.log.post(person, `${person.firstname} ${person.lastname} leaves the room`, true);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  delete(roomName: string): void {
    for (const account of this.get(roomName).participants.values()) account.rooms.delete(roomName);
    this.#rooms.delete(roomName);
  }
}

/** The date format of KillrChat, UTC to the second: `2015-03-14 20:31:48`. */
function dateText(date: Date): string {
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/** `killrchat.v1.Message`. */
interface ChatMessage {
  readonly messageId: string;
  readonly author: Person;
  readonly content: string;
  readonly systemMessage: boolean;
  readonly creationDate: string;
}

const maxMessages = 1000;

/** The newest messages of one room, or of the lobby. */
export class MessageLog {
  readonly #messages: ChatMessage[] = [];

  post(author: Person, content: string, systemMessage = false): void {
    const creationDate = dateText(new Date());
    this.#messages.push({ messageId: randomUUID(), author, content, systemMessage, creationDate });
    if (this.#messages.length > maxMessages) this.#messages.shift();
  }

  /**
   * Newest first, at most `size` messages, all older than `before` where that is not empty.
   *
   * @throws RpcError NOT_FOUND, `MESSAGE_NOT_FOUND`, where `before` is not in the log
   */
  newest(size: number, before: string): ChatMessage[] {
    const end =
      before === ""
        ? this.#messages.length
        : this.#messages.findIndex(({ messageId }) => messageId === before);
    if (end === -1) throw messageNotFound(before);
    return this.#messages.slice(Math.max(end - size, 0), end).reverse();
  }
}
