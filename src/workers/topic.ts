import { deserialize, serialize } from "node:v8";

/** How values become the bytes of a frame between processes. Bytes that are given away must not be changed any more. */
export interface PayloadCodec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** The type of messages of one kind, and their encoding. */
export interface Topic<T> {
  /** At most 255 ASCII characters. */
  readonly name: string;
  readonly codec: PayloadCodec<T>;
}

/** The types of requests of one kind and of their responses, and their encoding. */
export interface RequestTopic<Q, R> {
  readonly name: string;
  readonly request: PayloadCodec<Q>;
  readonly response: PayloadCodec<R>;
}

/** Bytes as they are. */
export const bytes: PayloadCodec<Uint8Array> = { encode: value => value, decode: value => value };

/** Small values, as JSON. */
export function json<T>(): PayloadCodec<T> {
  return {
    encode: value => Buffer.from(JSON.stringify(value) ?? "null"),
    decode: value => JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as T,
  };
}

/** Values of any kind that the structured clone algorithm knows, as V8 writes them. */
export function structured<T>(): PayloadCodec<T> {
  return { encode: serialize, decode: value => deserialize(value) as T };
}

/** A topic whose messages are there as bytes already: one that several processes get is encoded once. */
export function encoded<T>({ name }: Topic<T>): Topic<Uint8Array> {
  return { name, codec: bytes };
}

export function topic<T>(name: string, codec: PayloadCodec<T> = json()): Topic<T> {
  return { name, codec };
}

export function requestTopic<Q, R>(
  name: string,
  request: PayloadCodec<Q> = json(),
  response: PayloadCodec<R> = json(),
): RequestTopic<Q, R> {
  return { name, request, response };
}
