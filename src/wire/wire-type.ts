/** Wire types (https://protobuf.dev/programming-guides/encoding/#structure). */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const START_GROUP = 3;
export const END_GROUP = 4;
export const FIXED32 = 5;
