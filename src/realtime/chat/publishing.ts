import type { RoomAuthorizer } from "../../auth/authorizer.js";
import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import { SpanKind, traced } from "../../telemetry/tracing/span.js";
import type { Bridge, EventOutcome } from "../bridge/bridge.js";
import { roomKey } from "../brokers/broker.js";
import { count } from "../metrics.js";
import type { Content } from "../rooms/content.js";
import type { LocalHub } from "../rooms/local-hub.js";
import { ReplayBudget } from "../rooms/replay-budget.js";
import type { ParentSpan } from "../rooms/room-traces.js";
import type { Socket } from "../rooms/socket.js";
import { claimed, notMember, refused, rewrittenName } from "./frame-rules.js";
import { ack, type HistoryFrame, historyPage, type PublishFrame, type SendFrame } from "./frames.js";

type PublishingFrame = SendFrame | PublishFrame;

export interface PublishingOwner {
  readonly local: LocalHub;
  readonly options: { readonly policy: RoomAuthorizer | undefined; readonly bridge: Bridge | undefined };
  respond(socket: Socket, text: string): undefined;
  failed(socket: Socket, frame: PublishingFrame, error: unknown): void;
}

/** The default number of messages of a page of history, and the bytes of a page. */
const usualPage = 50;
const maxPageBytes = 256 * 1024;

/** Publishing in rooms, and reading their history. */
export class Publishing {
  readonly #owner: PublishingOwner;

  constructor(owner: PublishingOwner) {
    this.#owner = owner;
  }

  publish(socket: Socket, frame: PublishingFrame): Promise<void> | undefined {
    const { traces } = this.#owner.local.fanOut;
    const span = traces?.tracer.root(frame.type, SpanKind.Server);
    if (span === undefined) return this.#decide(socket, frame, traces && "unrecorded");
    span.set("messaging.destination.name", frame.room_id);
    span.set("protogate.request_id", socket.requestId);
    return traced(span, () => this.#decide(socket, frame, span));
  }

  #decide(socket: Socket, frame: PublishingFrame, parent: ParentSpan): Promise<void> | undefined {
    const { policy, bridge } = this.#owner.options;
    const room = socket.rooms.get(frame.room_id);
    const joined = room?.members.get(socket);
    if (room === undefined || joined === undefined) throw notMember(frame.room_id);
    const from = claimed(socket, frame, joined);
    if (room.kind.publish === "server") throw serverOnly();
    policy?.require(socket.identity, frame.room_id);
    if (bridge === undefined || !room.kind.events.has("message"))
      return this.#publish(socket, frame, from, contentOf(frame), parent);
    return whenReady(bridge.event("message", socket, { ...frame, from }, parent), outcome => {
      const decided = allowed(outcome);
      const name = rewrittenName(decided.from, from);
      return this.#publish(socket, frame, name, rewritten(frame, decided), parent);
    });
  }

  #publish(
    socket: Socket,
    frame: PublishingFrame,
    from: string,
    content: Content,
    parent: ParentSpan,
  ): undefined {
    const { local } = this.#owner;
    const { room_id: room, key } = frame;
    const ephemeral = frame.type === "publish" && frame.ephemeral;
    // It was a member when it sent this: a message that its backend has allowed is published, even after it has left.
    const published = local.send(room, JSON.stringify(from), content, {
      by: socket,
      key: key === undefined ? undefined : keyOf(from, key),
      ephemeral,
      parent,
    });
    const done = (position: Awaited<typeof published>): void => {
      if (frame.id !== undefined) this.#owner.respond(socket, ack(frame.id, room, position));
    };
    // The broker keeps the order of the calls: further frames for the room need not wait.
    if (published instanceof Promise)
      published.then(done, (error: unknown) => this.#owner.failed(socket, frame, error));
    else done(published);
    return undefined;
  }

  /** A page of the history, charged like replayed messages. */
  history(socket: Socket, frame: HistoryFrame): Promise<void> | undefined {
    const { local, options } = this.#owner;
    const { room_id: name, id, before, limit = usualPage } = frame;
    const room = socket.rooms.get(name);
    if (room === undefined) throw notMember(name);
    options.policy?.require(socket.identity, name);
    socket.replay ??= new ReplayBudget(performance.now());
    const budget = socket.replay;
    if (!budget.open(performance.now())) {
      const message = "the socket has requested too much history; try again later";
      throw gatewayError("RATE_LIMITED", message, [], { retryAfter: 1 });
    }
    return whenReady(local.broker.history(name, limit + 1, before), found => {
      const texts: string[] = [];
      let bytes = 0;
      for (const { text } of found.slice(-limit).reverse()) {
        bytes += Buffer.byteLength(text);
        if (texts.length > 0 && bytes > maxPageBytes) break;
        budget.spend(Buffer.byteLength(text));
        texts.push(text);
      }
      const page = { messages: texts.reverse(), more: found.length > texts.length };
      const text = historyPage(id, name, { epoch: found.at(-1)?.epoch ?? room.epoch, ...page });
      if (socket.send(text)) count(local.metrics.sent.history, 1, Buffer.byteLength(text));
      return undefined;
    });
  }
}

/** The error for rooms that only servers may publish to. */
export function serverOnly() {
  return gatewayError("NOT_ALLOWED_IN_ROOM", "only servers publish to this room");
}

/** A key of a sender is not one of another sender, or of a server. */
export function keyOf(from: string, key: string): string {
  return `${key} ${roomKey(from)}`;
}

export function contentOf(frame: PublishingFrame): Content {
  if (frame.type === "send-message") return { message: frame.message };
  const { event, data } = frame;
  return { event, data };
}

/** @throws GatewayError the backend's refusal */
export function allowed(outcome: EventOutcome<PublishingFrame>): PublishingFrame {
  if (!outcome.allow) throw refused(outcome);
  return outcome.frame;
}

/** The content that a backend has decided on: a text of its own replaces the client's content. */
export function rewritten(frame: PublishingFrame, { message }: PublishingFrame): Content {
  return typeof message === "string" ? { message } : contentOf(frame);
}
