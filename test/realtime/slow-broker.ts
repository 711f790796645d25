import type {
  Broker,
  BrokerLeases,
  Published,
  Receiver,
  RoomDraft,
  RoomPosition,
} from "../../src/realtime/brokers/broker.js";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { GatewayError, gatewayFailure } from "../../src/status/failure.js";

/** A broker elsewhere: every answer takes turns of the event loop, and deliveries come on their own. */
export class SlowBroker implements Broker {
  readonly presence = undefined;
  readonly ready = true;
  readonly leases: BrokerLeases;
  readonly inner: MemoryBroker;
  readonly subscribed: string[] = [];
  failing = false;

  constructor(messages = 100) {
    this.inner = new MemoryBroker({ messages, ttl: 3_600_000, maxBytes: 1024 ** 3 });
    this.leases = this.inner.leases;
  }

  start(receiver: Receiver): void {
    this.inner.start({
      message: (room, message) => void later(() => receiver.message(room, message)),
      notice: (room, notice) => void later(() => receiver.notice(room, notice)),
      gap: () => {},
      member: () => undefined,
      announcesSockets: () => false,
      lost: () => undefined,
      evicted: () => undefined,
      vacated: room => void later(() => receiver.vacated(room)),
      signal: () => {},
    });
  }

  publish(room: string, draft: RoomDraft): Promise<Published | undefined> {
    return later(() => {
      if (this.failing) throw new GatewayError(gatewayFailure("INTERNAL", "the broker is away"));
      return this.inner.publish(room, draft);
    });
  }

  subscribe(room: string): Promise<RoomPosition> {
    this.subscribed.push(`+${room}`);
    return later(() => {
      if (this.failing) throw new GatewayError(gatewayFailure("INTERNAL", "the broker is away"));
      return this.inner.subscribe(room);
    });
  }

  unsubscribe(room: string): void {
    this.subscribed.push(`-${room}`);
    this.inner.unsubscribe(room);
  }

  since = (room: string, position: RoomPosition, limit: number) =>
    later(() => this.inner.since(room, position, limit));
  history = (room: string, limit: number) => later(() => this.inner.history(room, limit));
  rooms = (limit: number) => later(() => this.inner.rooms(limit));
  signal(): void {}
  close = () => this.inner.close();
}

/** After some turns of the event loop. */
export async function later<T>(work: () => T): Promise<T> {
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve));
  return work();
}
