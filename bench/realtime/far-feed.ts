import { Registry } from "prom-client";
import type { Broker } from "../../src/realtime/brokers/broker.js";
import type { RoomConfig } from "../../src/realtime/config.js";
import type { FeedPlan } from "../../src/realtime/feeds/compile-feeds.js";
import { FeedMetrics } from "../../src/realtime/feeds/feed-metrics.js";
import { Feeds } from "../../src/realtime/feeds/feeds.js";
import { RealtimeMetrics } from "../../src/realtime/metrics.js";
import { LocalHub } from "../../src/realtime/rooms/local-hub.js";
import { roomKindsOf } from "../../src/realtime/rooms/room-kinds.js";
import type { Channel, StreamCall } from "../../src/upstream/channel.js";

/** The feeds of a gateway with a broker, from backends that send as fast as they are read. */
export class FarFeeds {
  readonly hub: LocalHub;
  readonly #metrics = new FeedMetrics(new Registry());
  readonly #feeds: Feeds;

  constructor(broker: Broker) {
    const backpressure = { max: 1 << 20, policy: "close" } as const;
    const rooms: RoomConfig[] = [{ match: "*", presence: "off", publish: "server", cache: false }];
    const kinds = roomKindsOf({ rooms, history: { messages: 100, ttl: 60_000, max_bytes: 1 << 20 } });
    const limits = { rooms: 128, backpressure, message: 64 * 1024, sentAt: "seconds", kinds } as const;
    this.hub = new LocalHub(broker, new RealtimeMetrics(new Registry()), undefined, limits);
    this.#feeds = new Feeds(this.hub, this.#metrics);
  }

  /** Publishes the messages of one stream in one room. @returns how long it takes, milliseconds */
  async publish(room: string, count: number): Promise<number> {
    const { published } = this.#metrics.messages;
    const until = published.value + count;
    const done = new Promise<number>(resolve => {
      const channel = backend(count, started => {
        const timer = setInterval(() => {
          if (published.value < until) return;
          clearInterval(timer);
          resolve(performance.now() - started);
        }, 1);
      });
      this.#feeds.use({ plans: new Map([[0, plan]]), channels: new Map([["far", channel]]), streams: 10 });
    });
    this.#feeds.opened(room);
    return done;
  }

  close(): Promise<void> {
    return this.#feeds.close();
  }
}

const text = '{"symbol":"ACME","amount":"12.50","volume":"100","currency":"USD"}';

const plan: FeedPlan = {
  upstream: "far",
  path: "/market.v1.Prices/Watch",
  event: "price",
  from: "feed",
  linger: 0,
  signature: "",
  cursor: undefined,
  resumes: false,
  output: { decodeInTurns: () => text } as unknown as FeedPlan["output"],
  request: () => new Uint8Array(),
};

/** A channel whose streams have so many messages, and stay open. */
function backend(count: number, began: (at: number) => void): Channel {
  const message = new Uint8Array(50);
  const stream = (call: StreamCall) => {
    let left = count;
    let paused = false;
    const send = (): void => {
      while (!paused && left > 0) {
        left--;
        call.onMessage(message);
      }
    };
    call.cancellation.listen(() => call.onEnd({ code: 1, message: "", origin: "cancelled" }, []));
    setImmediate(() => {
      began(performance.now());
      send();
    });
    return {
      send: () => true,
      end: () => undefined,
      pause: () => {
        paused = true;
      },
      resume: () => {
        paused = false;
        send();
      },
    };
  };
  return { stream } as unknown as Channel;
}
