import { randomUUID } from "node:crypto";
import type { Person } from "./account-store.js";
import { messageNotFound } from "./chat-error.js";
import { dateText } from "./date-text.js";

/** `killrchat.v1.Message`. */
export interface ChatMessage {
  readonly messageId: string;
  readonly author: Person;
  readonly content: string;
  readonly systemMessage: boolean;
  readonly creationDate: string;
}

const CAPACITY = 1000;

/** The newest messages of one room, or of the lobby. */
export class MessageLog {
  readonly #messages: ChatMessage[] = [];

  post(author: Person, content: string, systemMessage = false): void {
    const creationDate = dateText(new Date());
    this.#messages.push({ messageId: randomUUID(), author, content, systemMessage, creationDate });
    if (this.#messages.length > CAPACITY) this.#messages.shift();
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
