import type { Config } from "./schema.js";

/** What loading made of the file so far: whatever had a problem is undefined, list indexes are kept. */
export type DraftOf<T> = T extends object ? { readonly [K in keyof T]?: DraftOf<T[K]> | undefined } : T;

export type Draft = DraftOf<Config>;
