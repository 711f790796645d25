/**
 * Most list elements, object members, map entries and messages that one text or message may have. Memory grows with their
 * number, not with the bytes: a zero in a packed list is one byte.
 */
export const MAX_ELEMENTS = 1_000_000;

/** Most bytes of JSON that one message may become: packed zeros and empty messages grow many times over. */
export const MAX_JSON_BYTES = 64 * 1024 * 1024;
