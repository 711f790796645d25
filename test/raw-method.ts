const same = (bytes: Buffer): Buffer => bytes;

/** The serialization of a method whose messages stay bytes. */
export const rawMessages = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** The definition of a method whose messages stay bytes, for servers and clients of grpc-js. @param path `/package.Service/Method` */
export function rawMethod(path: string, requestStream = false, responseStream = false) {
  return { path, requestStream, responseStream, ...rawMessages };
}
