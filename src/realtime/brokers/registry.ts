import type { Broker, BrokerOptions } from "./broker.js";
import { MemoryBroker } from "./memory-broker.js";

/** `realtime.broker` */
export type BrokerConfig =
  | { readonly type: "memory" }
  | { readonly type: "nats" | "redis"; readonly url: string; readonly prefix: string };

/** The broker of a configuration, not yet started. Clients of servers are loaded only where they are used. */
export async function loadBroker(
  config: BrokerConfig,
  { history, logger }: Pick<BrokerOptions, "history" | "logger">,
): Promise<Broker> {
  switch (config.type) {
    case "memory":
      return new MemoryBroker(history);
    case "nats": {
      const { createNatsBroker } = await import("./nats-broker.js");
      return createNatsBroker({ url: config.url, prefix: config.prefix, history, logger });
    }
    case "redis": {
      const { createRedisBroker } = await import("./redis-broker.js");
      return createRedisBroker({ url: config.url, prefix: config.prefix, history, logger });
    }
  }
}
