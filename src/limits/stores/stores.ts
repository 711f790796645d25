import { Type } from "../../config/type-builder.js";
import { memory } from "./memory.js";
import { redis } from "./redis.js";
import type { StoreType } from "./store.js";

/** Every kind of store by its name in `store`. A new one is a file and a line here; with a server, also a key below. */
const storeTypes = { memory, redis } as const;

export type StoreName = keyof typeof storeTypes;

export const storeNames = Object.keys(storeTypes) as [StoreName, ...StoreName[]];

/** Keys of a limit for the servers of stores, each by the name of its kind. */
export const serverKeys = { redis: Type.Optional(redis.server.schema) };

/** A kind, for the value of its own key. */
export function storeType(name: StoreName): StoreType<unknown> {
  return storeTypes[name] as StoreType<unknown>;
}
