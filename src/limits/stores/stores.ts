import { text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { memory } from "./memory.js";
import { redis } from "./redis.js";
import type { StoreType } from "./store.js";

/** Every kind of store by its name in `store`. A new one is a file and a line here; with a server, also a key below. */
const storeTypes = { memory, redis } as const satisfies Readonly<Record<string, StoreType>>;

export type StoreName = keyof typeof storeTypes;

export const storeNames = Object.keys(storeTypes) as [StoreName, ...StoreName[]];

/** Keys of a limit for the servers of stores, each by the name of its kind. */
export const serverKeys = {
  redis: Type.Optional(text("nonempty", { description: redis.server.description })),
};

export function storeType(name: StoreName): StoreType {
  return storeTypes[name];
}
